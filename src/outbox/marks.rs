//! What the exit notes of letters that landed: sent, tried later, given up, or given back.
use std::panic::AssertUnwindSafe;

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt as _;

use super::{Exit, flight::Landed, way::Fate};
use crate::{
    handlers::{
        Context,
        bounces::{self, Refused},
    },
    store::{
        self, Connection, breaker,
        health::{in_time, is_passing, is_refused},
        outbox::{self, Mine},
    },
};

impl Exit {
    /// Marks letters in one commit; when that fails, they are still to be marked. To mark again what was marked changes nothing, but for those that were given
    /// back, and perhaps claimed since: so their terms end when nobody knows.
    pub(super) async fn mark_all(&self, landed: &[Landed], now: DateTime<Utc>) -> Result<()> {
        let marking = async {
            if landed.iter().all(|(_, fate)| matches!(fate, Fate::Sent(_))) {
                // One statement is a commit of its own: the letters on their way wait for it.
                let mut conn = self.store.connection().await?;
                self.mark_landed(&mut conn, landed, now).await.context("cannot mark letters as sent")?;
                conn.put_back();
                return Ok(());
            }
            let mut tx = self.store.begin().await?;
            self.mark_landed(&mut tx, landed, now).await?;
            tx.commit().await.context("cannot mark letters as sent")
        };
        in_time(marking).await.inspect_err(|error| {
            let back = landed.iter().filter(|(_, fate)| matches!(fate, Fate::Back) && !is_refused(error));
            back.for_each(|(travelling, _)| travelling.term.end());
        })
    }

    /// The same in a transaction under way.
    pub(super) async fn mark_landed(&self, tx: &mut Connection, landed: &[Landed], now: DateTime<Utc>) -> Result<()> {
        let mut back = Vec::new();
        let (mut sent, mut replies) = (Vec::new(), Vec::new());
        for (travelling, fate) in landed {
            let (letter, mine) = (&travelling.letter, travelling.mine());
            match fate {
                Fate::Sent(reply) => {
                    sent.push(mine);
                    replies.push(reply.clone());
                }
                Fate::Later(reply) => {
                    let next = now + back_off(letter.attempts);
                    if next < letter.expires_at {
                        outbox::reschedule(tx, mine, reply, next).await?;
                    } else {
                        self.give_up(tx, mine, &format!("{}: {reply}", bounces::EXPIRED), Refused::Mailbox, now).await?;
                    }
                }
                Fate::Never(reply, refused) => self.give_up(tx, mine, reply, *refused, now).await?,
                Fate::Nobody => outbox::drop_claimed(tx, mine, now).await?,
                Fate::Back => back.push(travelling),
            }
        }
        if !back.is_empty() {
            outbox::give_back(tx, &back.iter().map(|travelling| travelling.mine()).collect::<Vec<_>>()).await?;
            breaker::come_back(tx, &back.iter().map(|travelling| &*travelling.letter).collect::<Vec<_>>(), now).await?;
        }
        if !sent.is_empty() {
            let marked = outbox::mark_sent(tx, &sent, &replies, now).await?;
            if marked < sent.len() {
                tracing::warn!(letters = sent.len() - marked, "sent, and not ours to mark any more: marked before, or sent by another process as well");
            }
        }
        Ok(())
    }

    async fn give_up(&self, conn: &mut Connection, letter: Mine, reply: &str, refused: Refused, now: DateTime<Utc>) -> Result<()> {
        if !outbox::give_up(conn, letter, reply, now).await? {
            return Ok(());
        }
        // A writer who can't be told keeps nobody else's letter from being marked.
        let mut part = store::part(conn).await?;
        let mut ctx = Context::new(part.conn(), now, &self.site);
        match AssertUnwindSafe(bounces::given_up(&mut ctx, letter.id, reply, refused)).catch_unwind().await {
            Ok(Ok(())) => return part.commit().await,
            Ok(Err(error)) if is_passing(&error) => return Err(error),
            Ok(Err(error)) => tracing::error!(outbox = %letter.id, error = format!("{error:#}"), "a letter is given up, and its writer could not be told"),
            Err(_) => tracing::error!(outbox = %letter.id, "a letter is given up, and the program panicked over telling its writer"),
        }
        part.undo().await
    }
}

/// A minute, five, a quarter of an hour, an hour, then every four hours: RFC 5321 4.5.4.1 asks for patience of four to five days.
fn back_off(attempts: i16) -> TimeDelta {
    match attempts {
        ..=1 => TimeDelta::minutes(1),
        2 => TimeDelta::minutes(5),
        3 => TimeDelta::minutes(15),
        4 => TimeDelta::hours(1),
        5.. => TimeDelta::hours(4),
    }
}
