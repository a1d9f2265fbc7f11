//! What a round came to: letters counted on both sides of the door, rows that failed, and real addresses where they have no business.
use anyhow::{Result, ensure};

use super::{
    cast,
    leaks::{self, Readings},
    play::Play,
};
use crate::cli::print;
use crate::store::{
    exchanges,
    record::{self, Filter},
};

/// The figures.
#[derive(Debug)]
pub struct Figures {
    /// Letters that came in and were kept.
    pub letters_in: usize,
    /// Letters that went out.
    pub letters_out: usize,
    /// Letters refused at the door.
    pub refused: usize,
    /// Rows of the two queues that failed.
    pub failed: i64,
    /// Addresses, host names and IP addresses that were looked for.
    pub looked_for: usize,
    /// How often they stand in what people wrote to their partners.
    pub written: usize,
    /// How often in what was delivered to anybody else.
    pub leaks: usize,
}

impl Play<'_> {
    /// Counts, and compares what people saw with what the record says.
    ///
    /// # Errors
    /// A letter without its row or a row without its letter; anything failed, left or leaked.
    pub async fn figures(&self) -> Result<Figures> {
        let mut conn = self.house.store.connection().await?;
        let mut rows = record::list(&mut conn, &Filter { direction: Some("in"), limit: i64::MAX, ..Filter::default() }).await?;
        let refused_rows = rows.extract_if(.., |row| row.outcome.as_deref() == Some("refused")).count();
        let out = record::list(&mut conn, &Filter { direction: Some("out"), limit: i64::MAX, ..Filter::default() }).await?;
        let counts = exchanges::counts(&mut conn).await?;
        let count = |wanted: &[&str]| -> i64 {
            counts.iter().filter(|(queue, state, _)| (queue == "inbox" || queue == "outbox") && wanted.contains(&state.as_str())).map(|(.., n)| n).sum()
        };
        let taken = self.post.sent.iter().filter(|sent| sent.taken()).count();
        let mut figures = Figures {
            letters_in: rows.len(),
            letters_out: out.len(),
            refused: self.post.sent.len() - taken,
            failed: count(&["failed"]),
            looked_for: 3 * cast::everybody().count(),
            written: 0,
            leaks: 0,
        };
        let mut delivered = 0;
        for reader in cast::everybody() {
            for raw in self.post.delivered(reader)? {
                delivered += 1;
                let readings = Readings::of(&raw);
                let others = cast::everybody().filter(|other| other.address != reader.address);
                figures.leaks += others.map(|other| readings.tell_of(other).len()).sum::<usize>();
            }
        }
        let to_partners = self.post.sent.iter().filter(|sent| self.aliases.contains(&sent.to));
        figures.written = to_partners.map(|sent| leaks::found(&sent.raw, sent.writer).len()).sum();
        let left = count(&["pending", "queued", "held"]);
        ensure!(figures.failed == 0 && left == 0, "{} letters failed and {left} are left undone; see the log above", figures.failed);
        ensure!(taken == figures.letters_in, "people sent {taken} letters that were taken, and the record has {} that came in", figures.letters_in);
        ensure!(refused_rows == figures.refused, "{} letters were refused, and the record has {refused_rows}", figures.refused);
        ensure!(delivered == figures.letters_out, "people got {delivered} letters, and the record has {} that went out", figures.letters_out);
        ensure!(self.post.mailboxes()? <= cast::everybody().count(), "somebody got letters whom nobody knows");
        ensure!(figures.written > 0, "the look for addresses finds none where they stand");
        ensure!(figures.leaks == 0, "{} real addresses or host names stand in letters to other people", figures.leaks);
        Ok(figures)
    }
}

impl Figures {
    /// Prints them on standard output.
    pub fn print(&self) {
        let Self { letters_in, letters_out, refused, failed, looked_for, written, leaks } = self;
        print::line(format_args!("Letters in    {letters_in}"));
        print::line(format_args!("Letters out   {letters_out}"));
        print::line(format_args!("Refused       {refused}"));
        print::line(format_args!("Failed        {failed}"));
        print::line(format_args!("Leaks found   {leaks}"));
        print::line("");
        print::line(format_args!(
            "Leaks: {looked_for} addresses, host names and IP addresses were looked for in every letter delivered to anybody else, decoded."
        ));
        print::line(format_args!("In what people wrote to their partners the same look finds them {written} times."));
    }
}
