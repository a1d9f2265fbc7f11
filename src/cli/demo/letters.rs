//! The station where partners write to each other: quotations, HTML, a photograph, a file that may not pass; and nothing that tells who somebody is.
use anyhow::{Context as _, Result, ensure};
use chrono::TimeDelta;

use super::{
    cast::{Manner, Person},
    compose::Words,
    leaks, photo,
    play::Play,
    post::Received,
};
use crate::mail::message::Message;

impl Play<'_> {
    /// Two pairs, two letters each way.
    pub(super) async fn partners_write(&mut self) -> Result<()> {
        self.station("Partners write to each other; addresses stay hidden");
        let second = self.somebody(Manner::Below, &[])?;
        let first = self.partner(second)?.who;
        self.first_pair(first, second).await?;
        let third = self.somebody(Manner::Html, &[first, second])?;
        let fourth = self.partner(third)?.who;
        self.second_pair(third, fourth).await
    }

    /// A greeting, an answer that quotes it together with the writer's own address, a photograph, thanks.
    async fn first_pair(&mut self, one: &'static Person, other: &'static Person) -> Result<()> {
        let text = format!(
            "Dear {},\n\nI am glad that we were matched. From my window I see the sorting shelf and, behind it, rain.\n\nWhat do you see from yours?\n",
            other.name
        );
        let greeting = self.writes(one, Words { subject: "Greetings from my desk", text, ..Words::default() }, None, "a first letter").await?;
        let text = format!("Dear {},\n\na car park! But there is a rowan in it, and we count the birds.\n", one.name);
        let answer = self.writes(other, Words { text, ..Words::default() }, Some(&greeting), "an answer that quotes it").await?;
        let picture = photo::of_a_bookshelf(&format!("{} <{}>", one.name, one.address), one.host);
        let had = leaks::found(&picture, one).len();
        let text = "Here is the shelf I told the children about: the third book from the left is the one.\n".to_owned();
        let words = Words { text, file: Some(("IMG_2041.jpg", "image/jpeg", picture.clone())), ..Words::default() };
        let photograph = self.writes(one, words, Some(&answer), "a photograph whose Exif data hold address and computer").await?;
        let parts = leaks::parts(&photograph.raw);
        let (_, passed) = parts.iter().find(|(kind, _)| kind == "image/jpeg").context("the photograph did not arrive")?;
        ensure!(had == 2 && !passed.windows(4).any(|bytes| bytes == b"Exif"), "the photograph still has its Exif data");
        self.say.line(&format!("   the picture arrived without them: {} octets became {}", picture.len(), passed.len()));
        let text = "What a shelf. I shall tell our children tomorrow.\n".to_owned();
        self.writes(other, Words { text, ..Words::default() }, Some(&photograph), "thanks, with all of it quoted").await?;
        Ok(())
    }

    /// HTML both ways where they write it, and a file that is sent back.
    async fn second_pair(&mut self, one: &'static Person, other: &'static Person) -> Result<()> {
        let text = format!("Dear {},\n\nmy title says “librarian”, which means that I also mend the chairs. What does yours mean?\n", other.name);
        let greeting = self.writes(one, Words { subject: "What we are called", text, ..Words::default() }, None, "a first letter").await?;
        let text = format!("Dear {},\n\nmine means that I am asked about the printer. Yesterday it was a cow in the garden, though.\n", one.name);
        let answer = self.writes(other, Words { text, ..Words::default() }, Some(&greeting), "an answer that quotes it").await?;
        let text = "A cow! Ours was a goat, and it was a member.\n".to_owned();
        let goat = self.writes(one, Words { text, ..Words::default() }, Some(&answer), "another letter").await?;

        self.later(TimeDelta::hours(5));
        let kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        let file = ("Rota of our branch.docx", kind, format!("PK\x03\x04 {} {}", other.address, other.host).into_bytes());
        let words = Words { text: "Our rota, for comparison.\n".into(), file: Some(file), ..Words::default() };
        self.post.reply(other, &goat.message, words, self.now()).await?;
        self.house.settle().await?;
        let refusal = self.post.open(other, "We could not pass on your letter")?;
        ensure!(refusal.words().contains("Rota of our branch.docx"), "the refusal does not name the attachment");
        self.post.nothing_more(one)?;
        self.say.line(&format!("{} attaches a document: it comes back with a word on why, and what to do", other.name));

        let text = "Without the document, then: I have Saturdays and the printer, always the printer.\n".to_owned();
        self.writes(other, Words { text, ..Words::default() }, Some(&goat), "the same without the document").await?;
        Ok(())
    }

    /// One letter to somebody's partner: it has to arrive under the writer's name and alias, in its thread, and say nothing of where it comes from.
    async fn writes(&mut self, writer: &'static Person, words: Words<'_>, answers: Option<&Received>, what: &str) -> Result<Received> {
        self.later(TimeDelta::hours(7));
        let reader = self.partner(writer)?.who;
        let (to, from) = (self.partner(writer)?.alias.clone(), self.partner(reader)?.alias.clone());
        let subject = words.subject.to_owned();
        match answers {
            Some(letter) => {
                ensure!(letter.message.from.as_ref().is_some_and(|from| from.as_str() == to), "an answer of {} would not go to their partner", writer.name);
                self.post.reply(writer, &letter.message, words, self.now()).await?;
            }
            None => self.post.send(writer, &to, &words, self.now()).await?,
        }
        let written = leaks::found(&self.post.sent.last().context("it was just sent")?.raw, writer);
        ensure!(written.len() == 3, "the letter of {} should have told who wrote it, so that hiding it means something", writer.name);
        self.house.settle().await?;
        let letter = self.post.open(reader, if answers.is_some() { "Re: " } else { &subject })?;
        ensure!(letter.message.from.as_ref().is_some_and(|is| is.as_str() == from), "the letter to {} does not come from {from}", reader.name);
        ensure!(letter.message.from_name.as_deref() == Some(writer.name), "the letter to {} does not show the name {}", reader.name, writer.name);
        if answers.is_some() {
            let own = self.post.sent.iter().rev().skip(1).find(|sent| sent.writer.address == reader.address).map(|sent| Message::parse(&sent.raw));
            let own = own.and_then(|message| message.message_id).context("the reader wrote before")?;
            ensure!(letter.message.in_reply_to == [own], "the letter to {} has lost its thread", reader.name);
        }
        let seen = leaks::found(&letter.raw, writer);
        ensure!(seen.is_empty(), "the letter to {} shows {seen:?}", reader.name);
        self.say.line(&format!("{} to {}: {what}", writer.name, reader.name));
        Ok(letter)
    }
}
