//! Letters and the commands in them, or not in them.
use super::*;

fn today() -> NaiveDate {
    NaiveDate::from_ymd_opt(2027, 2, 15).expect("a day")
}

/// `pause until=2027-03-01`, or `-`.
fn brief(subject: &str, text: &str, who: Audience) -> String {
    match Command::read(subject, text, who, today()) {
        None => "-".to_owned(),
        Some(command) => {
            let arguments = command.to_json()["arguments"]
                .as_object()
                .expect("an object")
                .iter()
                .map(|(key, value)| format!(" {key}={}", value.to_string().trim_matches('"')))
                .collect::<String>();
            format!("{}{arguments}", command.name())
        }
    }
}

#[test]
fn commands_are_seen_in_subject_or_first_line() {
    for (subject, text, expected) in [
        ("pause", "", "pause"),
        ("Pause", "\n", "pause"),
        ("", "pause", "pause"),
        ("", "PAUSE.", "pause"),
        ("Hello", "Dear team,\n\nplease pause my participation.\n\nKind regards,\nAna Flores\nLibrary of Lima", "pause"),
        ("", "Pause until 1 March 2027", "pause until=2027-03-01"),
        ("Pause until 1 March 2027", "", "pause until=2027-03-01"),
        ("pause until 2027-03-01", "Thanks!\nAna", "pause until=2027-03-01"),
        ("pause", "until March 1", "pause until=2027-03-01"),
        ("", "Could you please pause me until the 1st of March, thanks", "pause until=2027-03-01"),
        ("", "please pause until 1.3.2027.", "pause until=2027-03-01"),
        ("", "pause for two weeks", "pause until=2027-03-01"),
        ("", "pause until the end of May please", "pause until=2027-05-31"),
        ("", "pause until I am back", "pause"),
        ("", "pause until 1 January 2027", "pause"),
        ("", "I would like to take a break", "pause"),
        ("", "pausa", "pause"),
        ("", "Bitte pausieren", "pause"),
        ("", "pausa hasta el 1 de marzo", "pause until=2027-03-01"),
        ("", "pausieren bis 1. März 2027", "pause until=2027-03-01"),
        ("LEAVE.", "", "leave"),
        ("", "LEAVE.", "leave"),
        ("", "please stop", "leave"),
        ("", "Please stop. Thank you.", "leave"),
        ("", "I want to leave the programme", "leave"),
        ("leave", "Dear Pairpost,\nI am changing my job and have no time left, sorry.\nAna", "leave"),
        ("Leaving", "quit\n\nSent from my iPhone", "leave"),
        ("", "darme de baja", "leave"),
        ("", "abmelden", "leave"),
        ("resume", "", "resume"),
        ("", "I'm back!", "resume"),
        ("help", "", "help"),
        ("Help", "Hello,\n\nthanks,\nAna Flores", "help"),
        ("", "Ayuda, por favor", "help"),
        ("status", "", "status"),
        ("", "new-partner", "new-partner"),
        ("", "I would like a new partner, please", "new-partner"),
        ("New partner", "Mine has not answered since January.", "new-partner"),
        ("Re: How is it going?", "All well!", "all-well"),
        ("Re: How is it going?", "we write elsewhere\n\nThanks", "all-well"),
        ("my data", "", "my-data"),
        ("", "send me all my data", "my-data"),
        ("", "Forget me", "forget-me"),
        ("", "please delete my data", "forget-me"),
        ("", "add address ana@work.example", "add-address address=ana@work.example"),
        ("", "Please add my address <ana@work.example>.", "add-address address=ana@work.example"),
        ("", "language Spanish", "language language=es"),
        ("", "Idioma: español", "language language=es"),
        ("", "Please write to me in French", "language language=fr"),
        ("", "topics off", "topics on=false"),
        ("", "No topics, please", "topics on=false"),
        ("topics on", "", "topics on=true"),
        ("", "share my address", "share-address"),
        ("block", "", "block"),
        ("", "report\nMy partner wrote this to me: \"…\" and I do not want to read such things.", "report"),
        ("subscribe", "", "subscribe"),
        ("unsubscribe", "", "unsubscribe"),
        ("", "Please unsubscribe me from this list", "unsubscribe"),
        ("", "please take me off this list", "unsubscribe"),
        ("join", "", "join"),
        ("Sign up", "Hello!", "join"),
        ("change", "", "change"),
        ("Re: Please confirm", "yes", "confirm"),
        ("Re: Please confirm", "Yes, please!\n\nAna", "confirm"),
        ("AW: Bitte", "Ja", "confirm"),
        ("Re: x", "Sí, confirmo", "confirm"),
        ("Re: x", "I confirm my registration.\nBest,\nAna", "confirm"),
        ("Re: x", "OK", "confirm"),
    ] {
        assert_eq!(brief(subject, text, Audience::Member), expected, "{subject:?} {text:?}");
    }
}

#[test]
fn letters_that_merely_mention_a_word_hold_no_command() {
    let long = "word ".repeat(100);
    for (subject, text) in [
        ("Hello from Lima", "Dear Ben,\n\nI had to pause for a while, and then I could not leave the library in time.\nHelp is always welcome.\n\nAna"),
        ("", "Leave it to me to find the book."),
        ("", "Stop by when you are in Lima!"),
        ("", "Can you help me with the catalogue? I want to leave nothing out."),
        ("Help", "Could you tell me how your library buys e-books, and who decides about it?\nWe have no budget of our own.\nIt is a mess."),
        ("", "Help!\nOur roof leaks and all the maps are wet.\nWhat did you do in 2019?\nAna"),
        ("", "Yes, I have read the same book and I liked the second half best."),
        ("", "Yes, but my country is Peru"),
        ("", "yes\nI also think that the second chapter is better than the first, which went on and on."),
        ("", "No"),
        ("Re: pause", "Thank you!"),
        ("Re: pause", "When does it end?"),
        ("Re: help", "My name is Ana and I live in Lima."),
        ("", "pause?"),
        ("status", &long),
        ("", &format!("leave\n{long}")),
        ("", "Please do not pause me."),
        ("", "Don't stop"),
        ("", "add address"),
        ("", "language of the birds"),
        ("topics", ""),
        ("", "Country: Peru"),
        ("", ""),
        ("", "Thanks!"),
        ("", "approve"),
        ("", "pin Ana with Ben"),
        ("The report", "I attach the report of our year."),
        ("All is well that ends well", "What a play!"),
    ] {
        assert_eq!(brief(subject, text, Audience::Member), "-", "{subject:?} {text:?}");
    }
}

#[test]
fn coordinators_have_commands_of_their_own() {
    for (text, expected) in [
        ("approve", "approve"),
        ("Approve, thanks", "approve"),
        ("undo", "undo"),
        ("preview Ana Flores", "preview person=Ana Flores"),
        ("pin Ana Flores with Ben Otter", "pin a=Ana Flores b=Ben Otter"),
        ("veto a1 a2", "veto a=a1 b=a2"),
        ("Swap ana@x.example and ben@y.example.", "swap a=ana@x.example b=ben@y.example"),
        ("refuse Ana Flores: the round is full", "refuse person=Ana Flores reason=the round is full"),
        ("refuse ana@x.example because she is no librarian", "refuse person=ana@x.example reason=she is no librarian"),
        ("refuse ana@x.example", "refuse person=ana@x.example"),
        ("reject: it is off the topic", "reject reason=it is off the topic"),
        ("reject", "reject"),
        ("note Ana writes in May", "note text=Ana writes in May"),
        ("rematch", "rematch"),
        ("accept", "accept"),
        ("discard", "discard"),
        ("ban", "ban"),
        ("done", "done"),
        ("hold", "hold"),
        ("release", "release"),
        ("pause", "pause"),
        ("accept my apologies for the delay", "-"),
        ("pin", "-"),
        ("hold the line", "-"),
    ] {
        assert_eq!(brief("", text, Audience::Coordinator), expected, "{text:?}");
    }
    assert_eq!(brief("", "stop", Audience::Anybody), "unsubscribe");
    assert_eq!(brief("", "leave", Audience::Anybody), "-");
}

#[test]
fn subjects_lose_the_prefixes_of_all_clients() {
    for subject in [
        "Re: pause",
        "AW: pause",
        "RE: Re: pause",
        "Re[2]: pause",
        "[Pairpost] pause",
        "Fwd: pause",
        "SV: Antw: pause",
        "回复：pause",
        "RV: pause",
        "Odp: pause",
    ] {
        assert_eq!(brief(subject, "", Audience::Member), "pause", "{subject}");
    }
    assert_eq!(brief("Library: pause", "", Audience::Member), "-");
}

#[test]
fn every_command_is_explained_and_its_example_is_one() {
    let all = Command::all();
    let mut names: Vec<&str> = all.iter().map(Command::name).collect();
    assert_eq!(names.len(), 36);
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all.len(), "no name twice");
    for command in &all {
        assert!(command.help().ends_with('.'), "{}", command.name());
        if *command != Command::Change {
            assert_eq!(Command::read("", command.usage(), Audience::Coordinator, today()).map(|read| read.name()), Some(command.name()), "{}", command.usage());
        }
    }
    assert!(Command::for_audience(Audience::Anybody).iter().all(|command| command.audience() == Audience::Anybody));
}

#[test]
fn yes_and_no_answer_a_letter_that_asked() {
    for text in
        ["yes", "Yes.\n\nAna", "Hello,\nyes please\nThanks", "Yes. It was me.", "Ja!\n\nViele Grüße\nEva", "Oui, je confirme", "ok", "Yes\nSent from my iPhone"]
    {
        assert_eq!(Command::read_yes_no(text), Some(true), "{text:?}");
    }
    for text in ["no", "No, that was not me", "Nein danke", "no.\nPlease remove me"] {
        assert_eq!(Command::read_yes_no(text), Some(false), "{text:?}");
    }
    for text in ["", "Thanks", "Yes, but my country is Peru", "Yes\nBut my country is Peru", "What is this?", "Country: Peru", "I do not know"] {
        assert_eq!(Command::read_yes_no(text), None, "{text:?}");
    }
}
