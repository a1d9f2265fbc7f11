//! The language of sessions (`tests/sessions/*.txt`): SMTP dialogues as data, played against a listener of their own.
//!
//! | line | what it does |
//! |---|---|
//! | `# …` | says what the session shows; the first one is its name |
//! | `set KEY VALUE` | configuration (`smtp.max_errors 3`), before the first line of the dialogue |
//! | `c: …` | is sent, with CR LF; `\r \n \t \0 \\ \xHH` stand for octets |
//! | `c+: …` | is sent in one packet with what follows |
//! | `raw: …` | octets as they are, without CR LF; `raw+:` as above |
//! | `fill N: …` | the line N times |
//! | `long N` | N octets without a line end |
//! | `skip N: …` | N received lines that all look so |
//! | `s: …` | the next line that is received; `*` stands for anything |
//! | `closed` | the server hangs up |
//! | `tls` | the client shakes hands; `tls 1.2`: in that version |
//! | `reconnect` | a new session |
//! | `other` | from here on the other client plays, who connects when it first does |
//! | `taken N` | waits until letters under way have taken so many octets of the budget of memory |
//! | `database away`, `database back` | connections to it are refused, or made again |
//! | `? select …`, then `= …` | what the database answers, as text |
use std::time::Duration;

use super::listening::{Client, Listening, believing_in};
use crate::program::PATIENCE;

/// Plays a session.
pub async fn play(text: &str) -> Result<(), String> {
    let lines = || text.lines().enumerate().map(|(n, line)| (n + 1, line)).filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let settings: Vec<_> = lines().filter_map(|(_, line)| setting(line)).collect();
    let listening = Listening::start(&settings).await;
    let mut client = Client::connect(&listening).await;
    let mut other = None;
    let mut answer = None;
    let mut outcome = Ok(());
    for (number, line) in lines().filter(|(_, line)| setting(line).is_none()) {
        if line == "other" {
            let next = match other.take() {
                Some(other) => other,
                None => Client::connect(&listening).await,
            };
            other = Some(std::mem::replace(&mut client, next));
            continue;
        }
        outcome = step(line, &listening, &mut client, &mut answer).await.map_err(|failure| format!("{number}: {failure}"));
        if outcome.is_err() {
            break;
        }
    }
    drop((client, other));
    listening.end().await;
    outcome
}

/// `set smtp.max_errors 3` as an environment variable.
fn setting(line: &str) -> Option<(String, String)> {
    let (key, value) = line.strip_prefix("set ")?.split_once(' ')?;
    Some((format!("PAIRPOST_{}", key.to_uppercase().replace('.', "__")), value.to_owned()))
}

async fn step(line: &str, listening: &Listening, client: &mut Client, answer: &mut Option<String>) -> Result<(), String> {
    let (word, rest) = line.split_once(' ').map_or((line, ""), |(word, rest)| (word, rest));
    match word {
        "c:" => client.send(&[octets(rest), b"\r\n".to_vec()].concat()).await,
        "c+:" => client.unsent.extend([octets(rest), b"\r\n".to_vec()].concat()),
        "raw:" => client.send(&octets(rest)).await,
        "raw+:" => client.unsent.extend(octets(rest)),
        "fill" => {
            let (count, text) = rest.split_once(": ").ok_or("fill N: text")?;
            let line = [octets(text), b"\r\n".to_vec()].concat();
            client.send(&line.repeat(count.parse().map_err(|_| "fill N: text")?)).await;
        }
        "s:" => match client.line().await {
            Some(got) if matches(rest, &got) => {}
            got => return Err(format!("expected {rest:?}, got {got:?}")),
        },
        "long" => client.send(&vec![b'x'; rest.parse().map_err(|_| "long N")?]).await,
        "skip" => {
            let (count, pattern) = rest.split_once(": ").ok_or("skip N: pattern")?;
            for number in 1..=count.parse().map_err(|_| "skip N: pattern")? {
                match client.line().await {
                    Some(got) if matches(pattern, &got) => {}
                    got => return Err(format!("expected {pattern:?}, got {got:?} as number {number}")),
                }
            }
        }
        "closed" => {
            if let Some(got) = client.line().await {
                return Err(format!("expected the server to hang up, got {got:?}"));
            }
        }
        "tls" => client.encrypt(&believing_in(&listening.data.path().join("smtp-tls.pem"), rest), "pairs.test").await?,
        "reconnect" => *client = Client::connect(listening).await,
        "taken" => {
            let octets: usize = rest.parse().map_err(|_| "taken N")?;
            let mut looks = tokio::time::interval(Duration::from_millis(20));
            let taken = async {
                while listening.door.memory().1 < octets {
                    looks.tick().await;
                }
            };
            tokio::time::timeout(PATIENCE, taken).await.map_err(|_| format!("{octets} octets of memory are not taken"))?;
        }
        "database" => listening.database.cut_off(rest == "away").await,
        "?" => *answer = Some(listening.ask(rest).await),
        "=" => {
            let got = answer.take().ok_or("there was no question")?;
            if !matches(rest, &got) {
                return Err(format!("expected {rest:?}, the database says {got:?}"));
            }
        }
        other => return Err(format!("{other:?} is no word of a session")),
    }
    Ok(())
}

/// The escapes of a line undone.
fn octets(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match rest.next().expect("something behind the backslash") {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'\\' => b'\\',
            b'x' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).expect("two hexadecimal digits")
            }
            other => panic!("\\{} is no escape", char::from(other)),
        });
    }
    out
}

/// `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| (0..=rest.len()).any(|at| rest.is_char_boundary(at) && matches(tail, &rest[at..]))),
    }
}
