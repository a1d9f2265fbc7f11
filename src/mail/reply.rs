//! What the writer of an answer wrote: without what is quoted, the lines that introduce it, the signature, and disclaimers.
//!
//! Words that can't be told from the writer's own stay: losing a sentence of a person is worse than keeping a line too much. A closing ("Regards, Ana")
//! is the writer's.

/// An answer, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The writer's own words; those between quotations follow each other after an empty line.
    pub text: String,
    /// What was quoted, with its marks and the lines that introduce it.
    pub quoted: String,
    /// The signature, "Sent from my …", a disclaimer.
    pub signature: String,
}

/// Takes the text of a letter apart (see [`super::message::Message::text`], which marks HTML quotations by `> `).
pub fn split(text: &str) -> Reply {
    let lines: Vec<&str> = text.lines().collect();
    let quoted = quoted_lines(&lines);
    let mut reply = Reply::default();
    let mut own: Vec<&str> = Vec::new();
    let mut last_was_quote = false;
    for (line, piece) in lines.iter().zip(&quoted) {
        match piece {
            Piece::Quoted => push_line(&mut reply.quoted, line),
            Piece::Own | Piece::Ends(_) => {
                if last_was_quote {
                    own.push("");
                }
                match piece {
                    Piece::Ends(at) => {
                        own.push(line[..*at].trim_end_matches([' ', '-', '_']));
                        push_line(&mut reply.quoted, &line[*at..]);
                    }
                    Piece::Own | Piece::Quoted => own.push(line),
                }
            }
        }
        last_was_quote = *piece != Piece::Own;
    }
    let end = signature_start(&own);
    reply.text = trimmed(&own[..end]);
    reply.signature = trimmed(&own[end..]);
    reply
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Own,
    Quoted,
    /// The writer's words end at that octet; the introduction of a quotation stands behind them on the same line.
    Ends(usize),
}

fn push_line(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}

/// Lines joined, without empty ones at both ends and with at most one between.
fn trimmed(lines: &[&str]) -> String {
    let mut out = String::new();
    let mut empty = 0;
    for line in lines {
        if line.trim().is_empty() {
            empty += 1;
            continue;
        }
        if !out.is_empty() {
            out.push_str(if empty > 0 { "\n\n" } else { "\n" });
        }
        empty = 0;
        out.push_str(line.trim_end());
    }
    out
}

/// Marks each line.
fn quoted_lines(lines: &[&str]) -> Vec<Piece> {
    let mut pieces = vec![Piece::Own; lines.len()];
    let mut i = 0;
    while i < lines.len() {
        if is_quote(lines[i]) {
            pieces[i] = Piece::Quoted;
            i += 1;
            while i < lines.len() && (is_quote(lines[i]) || continues_quote(lines[i - 1], lines[i])) {
                pieces[i] = Piece::Quoted;
                i += 1;
            }
            continue;
        }
        // A rule, perhaps with an empty line below, belongs to it.
        let rule = (i.saturating_sub(2)..i).find(|&j| is_rule(lines[j]) && lines[j..i].iter().all(|l| is_rule(l) || l.trim().is_empty()));
        let ruled_from = rule.is_some() && header_label(lines[i]) == Some(Label::From) && lines[i].contains('@');
        if ruled_from || begins_header_block(lines, i) || is_original_message(lines[i]) {
            pieces[rule.unwrap_or(i)..].fill(Piece::Quoted);
            break;
        }
        if let Some(found) = attribution(lines, i) {
            let marked = next_full(lines, found.end + 1).is_some_and(|j| is_quote(lines[j]));
            let last = if marked { found.end } else { lines.len() - 1 };
            pieces[found.start..=last].fill(Piece::Quoted);
            if found.column > 0 {
                pieces[found.start] = Piece::Ends(found.column);
            }
            if !marked {
                break;
            }
            // What is between the introduction and the first marked line is nobody's.
            i = next_full(lines, found.end + 1).unwrap_or(lines.len());
            pieces[found.end + 1..i].fill(Piece::Quoted);
            continue;
        }
        i += 1;
    }
    pieces
}

fn next_full(lines: &[&str], from: usize) -> Option<usize> {
    (from..lines.len()).find(|&j| !lines[j].trim().is_empty())
}

/// A line marked as quoted. `>>> look here <<<` is a shout.
fn is_quote(line: &str) -> bool {
    let line = line.trim();
    line.starts_with('>') && !line.ends_with("<<<")
}

/// A line that a client broke off a quoted one, so that it lost its mark: inside a parenthesis or angle bracket that is still open, or behind a soft break
/// that was not undone, or a lone link.
fn continues_quote(before: &str, line: &str) -> bool {
    if line.trim().is_empty() {
        return false;
    }
    let open = |a: char, b: char| before.matches(a).count() > before.matches(b).count();
    let in_link = open('(', ')') && line.contains(')') && before.contains("://");
    let soft = before.ends_with('=') && before.len() >= 72;
    let lone_link = line.trim_start().starts_with("(http") && line.ends_with('>');
    in_link || soft || lone_link
}

/// A line of dashes, underscores, equal signs or stars, perhaps in blanks.
fn is_rule(line: &str) -> bool {
    let line = line.trim();
    line.chars().count() >= 5 && line.chars().all(|c| matches!(c, '-' | '_' | '=' | '*' | '—' | '–' | ' '))
}

/// `-----Original Message-----`, in the languages of mail clients.
fn is_original_message(line: &str) -> bool {
    let line = line.trim().trim_start_matches(['*', '>', ' ']);
    let words = line.trim_matches(|c: char| matches!(c, '-' | '_' | '=' | '*' | ' ' | ':' | '—' | '–')).to_lowercase();
    let dashed = line.starts_with("--") || line.starts_with("__") || line.starts_with("==") || line.starts_with('—');
    (dashed && ORIGINAL_MESSAGE.contains(&words.as_str())) || (!dashed && words == "begin forwarded message")
}

/// The header of a quoted letter as Outlook writes it: lines `From:`, `Sent:`, `To:`, `Subject:`, at least two different ones, a From or Date first.
fn begins_header_block(lines: &[&str], at: usize) -> bool {
    let Some(first) = header_label(lines[at]).filter(|l| matches!(l, Label::From | Label::Date)) else { return false };
    let mut others = 0;
    let mut seen = vec![first];
    for line in lines[at + 1..].iter().take(6) {
        if line.trim().is_empty() {
            // HTML made text may have an empty line between, but not before the second field is found.
            if seen.len() > 1 {
                break;
            }
            others += 1;
        } else if let Some(label) = header_label(line) {
            if !seen.contains(&label) {
                seen.push(label);
            }
        } else {
            // The first value wrapped to a second line.
            others += 1;
        }
        if others > 2 {
            break;
        }
    }
    // Invitations have "Date:" and "To:"; letters have a From too, or a subject.
    seen.len() >= 2 && (seen.contains(&Label::From) || seen.contains(&Label::Subject) || seen.contains(&Label::To))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    From,
    Date,
    To,
    Subject,
}

fn header_label(line: &str) -> Option<Label> {
    let line = line.trim().trim_start_matches(['*', '_', '|']);
    let end = line.char_indices().take(24).find(|(_, c)| matches!(c, ':' | '：'))?.0;
    let name = line[..end].trim_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '_')).to_lowercase();
    let has = |names: &[&str]| names.contains(&name.as_str());
    if has(FROM_LABELS) {
        Some(Label::From)
    } else if has(DATE_LABELS) {
        Some(Label::Date)
    } else if has(TO_LABELS) {
        Some(Label::To)
    } else if has(SUBJECT_LABELS) {
        Some(Label::Subject)
    } else {
        None
    }
}

/// Where an introduction such as "On Monday, Ana wrote:" stands.
struct Attribution {
    start: usize,
    end: usize,
    /// The octet of the first line at which it begins.
    column: usize,
}

/// An introduction that begins at line `at`, or whose last line it is.
fn attribution(lines: &[&str], at: usize) -> Option<Attribution> {
    let here = lines[at].trim();
    if here.is_empty() || here.len() > 400 {
        return None;
    }
    let column = opener_column(lines[at]);
    // The introduction itself may be wrapped over several lines.
    for end in at..(at + 6).min(lines.len()) {
        // The `>` of a broken `<address>` may begin the last line.
        let marked = is_quote(lines[end]) && !is_lone_verb(lines[end]);
        if marked || (end > at && column.is_none()) {
            break;
        }
        let from = column.unwrap_or(0);
        let joined = std::iter::once(&lines[at][from..]).chain(lines[at + 1..=end].iter().copied()).map(str::trim).collect::<Vec<_>>().join(" ");
        if joined.len() > 500 {
            break;
        }
        let followed = next_full(lines, end + 1).is_some_and(|j| is_quote(lines[j]) && !is_lone_verb(lines[j]));
        if introduces(&joined, column.is_some(), followed) {
            return Some(Attribution { start: at, end, column: from });
        }
        // "Ana <ana@example.org> wrote:" on one line needs no date.
        if lines[end].trim_end().ends_with(':') && end > at {
            break;
        }
    }
    None
}

/// `> wrote:`
fn is_lone_verb(line: &str) -> bool {
    let words = line.trim().trim_start_matches('>').trim();
    !words.contains(' ') && ends_in_verb(words)
}

/// "On …" and its like may begin behind the writer's last words.
fn opener_column(line: &str) -> Option<usize> {
    let start = line.len() - line.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '*' | '_' | '—')).len();
    let rest = &line[start..];
    let lower = rest.to_lowercase();
    if starts_with_date(rest) || OPENERS.iter().any(|o| lower.starts_with(o)) {
        return Some(0);
    }
    // Only the English form is found in the middle of a line, and only before a day or a month.
    line.match_indices("On ").map(|(at, _)| at).find(|&at| {
        let before = line[..at].chars().next_back();
        let next: String = line[at + 3..].chars().take(3).collect::<String>().to_lowercase();
        before.is_some_and(|c| matches!(c, ' ' | '-')) && (DAYS_AND_MONTHS.contains(&next.as_str()) || next.starts_with(|c: char| c.is_ascii_digit()))
    })
}

/// `2014-10-17 …`, `17/10/2014 …`, `17.10.2014 …`.
fn starts_with_date(line: &str) -> bool {
    let date: String = line.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '-' | '/' | '.')).collect();
    date.chars().filter(char::is_ascii_digit).count() >= 5 && date.contains(['-', '/', '.'])
}

/// The joined lines introduce a quotation.
fn introduces(text: &str, opened: bool, followed: bool) -> bool {
    let dashed = text.starts_with("--") && text.ends_with("--");
    let core = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '*' | '_'));
    let colon = core.ends_with([':', '：']);
    let core = core.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '：' | '*' | '-'));
    let lower = core.to_lowercase();
    let dated = core.chars().any(|c| c.is_ascii_digit());
    let addressed = core.contains('@');
    let verb = ends_in_verb(&lower) || (VERBS_BEFORE.iter().any(|verb| lower.contains(&format!(" {verb} "))) && lower.chars().count() < 250);
    if verb && (colon || dashed || followed) && (dashed || followed || ((dated || addressed) && (opened || addressed))) {
        return true;
    }
    // "2014-10-17 11:28 GMT+03:00 Ana <ana@example.org>:" says no verb.
    let timed = starts_with_date(core) || (opened && dated && core.contains(':'));
    addressed && timed && core.contains('<') && (colon || followed)
}

fn ends_in_verb(text: &str) -> bool {
    let lower = text.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '：' | '*' | '-')).to_lowercase();
    VERBS_LAST
        .iter()
        .any(|verb| lower.strip_suffix(verb).is_some_and(|before| before.is_empty() || before.ends_with(|c: char| !c.is_alphabetic()) || !verb.is_ascii()))
}

/// Where the signature, a "Sent from my …" or a disclaimer begins; the number of lines where there is none.
fn signature_start(lines: &[&str]) -> usize {
    let mut end = lines.len();
    while let Some(start) = tail_start(&lines[..end]) {
        end = start;
    }
    end
}

/// One tail at the end of the lines: never the first words of a letter.
fn tail_start(lines: &[&str]) -> Option<usize> {
    let full: Vec<usize> = (0..lines.len()).filter(|&i| !lines[i].trim().is_empty()).collect();
    let first = *full.first()?;
    let last = *full.last()?;
    // RFC 3676 4.3: "-- " alone on its line begins the signature; many clients leave out the blank.
    if let Some(&at) = full.iter().find(|&&i| lines[i] == "-- " || lines[i] == "-- \u{a0}").filter(|&&i| i > first || full.len() == 1) {
        return Some(at);
    }
    let short = |from: usize| full.iter().filter(|&&i| i > from).count() <= 20;
    if let Some(&at) = full.iter().find(|&&i| i > first && is_dashes(lines[i]) && short(i) && only_short_lines(&lines[i + 1..])) {
        return Some(at);
    }
    if last > first && is_sent_from(lines[last]) {
        return Some(last);
    }
    if full.len() == 1 && is_sent_from(lines[last]) {
        return Some(last);
    }
    if last > first && is_dashed_name(lines[last]) && !full.iter().rev().nth(1).is_some_and(|&i| lines[i].trim_start().starts_with('-')) {
        return Some(last);
    }
    list_footer(lines, &full).or_else(|| disclaimer(lines, &full)).or_else(|| contact_block(lines, &full))
}

/// Two or more dashes, nothing else.
fn is_dashes(line: &str) -> bool {
    let line = line.trim();
    line.len() >= 2 && line.chars().all(|c| matches!(c, '-' | '—' | '–'))
}

fn only_short_lines(lines: &[&str]) -> bool {
    lines.iter().all(|l| l.chars().count() <= 120)
}

/// "-Ana", "- Ana Silva": one to three words that begin like a name would.
fn is_dashed_name(line: &str) -> bool {
    let line = line.trim();
    let Some(name) = line.strip_prefix(['-', '—', '–', '~']) else { return false };
    let words: Vec<&str> = name.split_whitespace().collect();
    let wordy = |w: &&str| w.chars().all(|c| c.is_alphabetic() || matches!(c, '.' | '\''));
    (1..=3).contains(&words.len()) && words.iter().all(wordy) && name.chars().count() <= 30
}

/// "Sent from my phone" in the languages of phones. A comma makes it a sentence.
fn is_sent_from(line: &str) -> bool {
    let line = line.trim().trim_start_matches(['*', '_', '(', '[']).to_lowercase();
    line.chars().count() <= 100
        && !line.contains([',', '?'])
        && (SENT_FROM.iter().any(|s| line.starts_with(s)) || SENT_FROM_END.iter().any(|s| line.ends_with(s)))
}

/// The footer of a mailing list: a rule, then a few lines with an address or a link.
fn list_footer(lines: &[&str], full: &[usize]) -> Option<usize> {
    let tail = full.iter().rev().take(7).copied().collect::<Vec<_>>();
    let at = *tail.iter().find(|&&i| is_rule(lines[i]) && lines[i].trim().starts_with("____"))?;
    let below = &lines[at + 1..];
    let is_footer = below.iter().any(|l| l.contains("://")) && below.iter().any(|l| l.contains('@') || l.to_lowercase().contains("list"));
    (is_footer && full.first() != Some(&at)).then_some(at)
}

/// A last paragraph in lawyers' words.
fn disclaimer(lines: &[&str], full: &[usize]) -> Option<usize> {
    let start = paragraph_start(lines, full)?;
    let text = lines[start..].join(" ").to_lowercase();
    let secret = CONFIDENTIAL.iter().any(|w| text.contains(w));
    let letter = THIS_MESSAGE.iter().filter(|w| text.contains(*w)).count();
    (text.len() > 120 && secret && letter > 0).then_some(start)
}

/// The first line of the last paragraph, where it is not the first of all.
fn paragraph_start(lines: &[&str], full: &[usize]) -> Option<usize> {
    let last = *full.last()?;
    let start = (0..=last).rev().take_while(|&i| !lines[i].trim().is_empty()).last()?;
    (start > *full.first()?).then_some(start)
}

/// A last paragraph of short lines: a name, then where to reach it. Lines of a form are no such thing.
fn contact_block(lines: &[&str], full: &[usize]) -> Option<usize> {
    let start = paragraph_start(lines, full)?;
    let block: Vec<&str> = lines[start..].iter().map(|l| l.trim()).filter(|l| !l.is_empty()).collect();
    let reachable = |l: &&str| {
        let digits = l.chars().filter(char::is_ascii_digit).count();
        let phone = digits >= 7 && l.chars().all(|c| !c.is_alphabetic()) || (digits >= 7 && l.chars().filter(|c| c.is_alphabetic()).count() <= 6);
        l.starts_with("http") || l.starts_with("www.") || (l.contains('@') && !l.contains(' ')) || phone
    };
    let form_lines = block.iter().filter(|l| l.split_once(':').is_some_and(|(k, v)| !v.starts_with("//") && k.chars().count() > 2)).count();
    let named = block.first().is_some_and(|l| {
        let words: Vec<&str> = l.split_whitespace().collect();
        (1..=6).contains(&words.len()) && words.iter().all(|w| w.chars().next().is_some_and(|c| !c.is_lowercase())) && !l.ends_with([':', '?', '!'])
    });
    let fits = (2..=8).contains(&block.len()) && block.iter().all(|l| l.chars().count() <= 60);
    (fits && named && form_lines < 2 && block.iter().skip(1).any(|l| reachable(&l))).then_some(start)
}

const ORIGINAL_MESSAGE: &[&str] = &[
    "original message",
    "original email",
    "original e-mail",
    "original appointment",
    "reply message",
    "forwarded message",
    "begin forwarded message",
    "originalnachricht",
    "ursprüngliche nachricht",
    "ursprungliche nachricht",
    "antwort nachricht",
    "weitergeleitete nachricht",
    "message d'origine",
    "message d’origine",
    "message original",
    "message transféré",
    "message initial",
    "mensaje original",
    "mensaje reenviado",
    "mensagem original",
    "mensagem encaminhada",
    "messaggio originale",
    "messaggio inoltrato",
    "missatge original",
    "oorspronkelijk bericht",
    "doorgestuurd bericht",
    "oprindelig meddelelse",
    "videresendt meddelelse",
    "opprinnelig melding",
    "videresendt melding",
    "originalmeddelande",
    "ursprungligt meddelande",
    "vidarebefordrat meddelande",
    "alkuperäinen viesti",
    "välitetty viesti",
    "upprunaleg skilaboð",
    "wiadomość oryginalna",
    "oryginalna wiadomość",
    "wiadomość przekazana dalej",
    "původní zpráva",
    "pôvodná správa",
    "eredeti üzenet",
    "mesaj original",
    "mesajul original",
    "izvirno sporočilo",
    "izvorna poruka",
    "originalna poruka",
    "исходное сообщение",
    "пересылаемое сообщение",
    "оригінальне повідомлення",
    "оригинално съобщение",
    "αρχικό μήνυμα",
    "orijinal mesaj",
    "özgün ileti",
    "thư gốc",
    "pesan asli",
    "原始邮件",
    "原始郵件",
    "原始信件",
    "元のメッセージ",
    "original message から",
    "원본 메시지",
    "원본 메일",
    "הודעה מקורית",
    "الرسالة الأصلية",
];

const FROM_LABELS: &[&str] = &[
    "from",
    "von",
    "de",
    "da",
    "van",
    "från",
    "fra",
    "od",
    "от",
    "від",
    "lähettäjä",
    "feladó",
    "από",
    "gönderen",
    "kimden",
    "kimdən",
    "expéditeur",
    "remitente",
    "remetente",
    "mittente",
    "afzender",
    "avsändare",
    "avsender",
    "afsender",
    "nadawca",
    "odesílatel",
    "odosielateľ",
    "de la",
    "expeditor",
    "pošiljatelj",
    "saatja",
    "no",
    "nuo",
    "frá",
    "dari",
    "daripada",
    "từ",
    "จาก",
    "发件人",
    "寄件者",
    "寄件人",
    "差出人",
    "送信者",
    "보낸 사람",
    "보낸사람",
    "מאת",
    "من",
    "отправитель",
];
const DATE_LABELS: &[&str] = &[
    "sent",
    "date",
    "sent on",
    "gesendet",
    "gesendet am",
    "datum",
    "envoyé",
    "envoyé le",
    "date d'envoi",
    "enviado",
    "enviado el",
    "enviado em",
    "enviada em",
    "enviat",
    "fecha",
    "data",
    "data de enviament",
    "inviato",
    "data invio",
    "verzonden",
    "skickat",
    "sendt",
    "dato",
    "wysłano",
    "wysłane",
    "odesláno",
    "odoslané",
    "dátum",
    "lähetetty",
    "päiväys",
    "päivämäärä",
    "elküldve",
    "küldve",
    "trimis",
    "trimis la",
    "data trimiterii",
    "poslano",
    "poslato",
    "saadetud",
    "kuupäev",
    "nosūtīts",
    "išsiųsta",
    "sent",
    "dagsetning",
    "отправлено",
    "дата",
    "изпратено",
    "надіслано",
    "στάλθηκε",
    "ημερομηνία",
    "gönderildi",
    "gönderme tarihi",
    "tarih",
    "terkirim",
    "tanggal",
    "đã gửi",
    "ngày",
    "ส่ง",
    "วันที่",
    "发送时间",
    "发送日期",
    "日期",
    "時間",
    "寄件日期",
    "送信日時",
    "日時",
    "日付",
    "보낸 날짜",
    "날짜",
    "נשלח",
    "תאריך",
    "تم الإرسال",
    "التاريخ",
];
const TO_LABELS: &[&str] = &[
    "to",
    "an",
    "à",
    "a",
    "para",
    "aan",
    "till",
    "til",
    "do",
    "komu",
    "pro",
    "vastaanottaja",
    "címzett",
    "кому",
    "до",
    "προς",
    "kime",
    "alıcı",
    "către",
    "prima",
    "za",
    "saaja",
    "kam",
    "kam",
    "kepada",
    "tới",
    "đến",
    "ถึง",
    "收件人",
    "收件者",
    "宛先",
    "받는 사람",
    "받는사람",
    "אל",
    "إلى",
    "cc",
    "kopie",
    "kopia",
    "kopi",
    "copie à",
    "copia",
    "копия",
    "抄送",
];
const SUBJECT_LABELS: &[&str] = &[
    "subject",
    "betreff",
    "objet",
    "asunto",
    "assunto",
    "oggetto",
    "assumpte",
    "onderwerp",
    "ämne",
    "emne",
    "efni",
    "temat",
    "předmět",
    "predmet",
    "predmet",
    "aihe",
    "tárgy",
    "subiect",
    "zadeva",
    "naslov",
    "teema",
    "temats",
    "tema",
    "тема",
    "относно",
    "θέμα",
    "konu",
    "subjek",
    "perihal",
    "chủ đề",
    "tiêu đề",
    "เรื่อง",
    "主题",
    "主題",
    "主旨",
    "件名",
    "제목",
    "נושא",
    "الموضوع",
];

/// What an introduction begins with, in lower case.
const OPENERS: &[&str] = &[
    "on ",
    "at ",
    "am ",
    "le ",
    "el ",
    "il ",
    "em ",
    "a ",
    "op ",
    "den ",
    "på ",
    "man",
    "w dniu ",
    "dnia ",
    "dne ",
    "dňa ",
    "în ",
    "la ",
    "pe ",
    "vào ",
    "pada ",
    "u ",
    "dana ",
    "ons",
    "tor",
    "fre",
    "lør",
    "lör",
    "søn",
    "sön",
    "mån",
    "tir",
    "tis",
    "kl",
    "ma ",
    "ti ",
    "ke ",
    "to ",
    "pe ",
    "la ",
    "su ",
    "в ",
    "на ",
    "στις ",
    "σε ",
    "пн",
    "вт",
    "ср",
    "чт",
    "пт",
    "сб",
    "вс",
    "mon",
    "tue",
    "wed",
    "thu",
    "fri",
    "sat",
    "sun",
    "dom",
    "lun",
    "mar",
    "mer",
    "gio",
    "ven",
    "sab",
    "jue",
    "vie",
    "sáb",
    "seg",
    "ter",
    "qua",
    "qui",
    "sex",
    "mo.",
    "di.",
    "mi.",
    "do.",
    "fr.",
    "sa.",
    "so.",
    "sent from",
];
const DAYS_AND_MONTHS: &[&str] =
    &["mon", "tue", "wed", "thu", "fri", "sat", "sun", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// What an introduction ends with before its colon.
const VERBS_LAST: &[&str] = &[
    "wrote",
    "writes",
    "sent",
    "said",
    "schrieb",
    "geschrieben",
    "schreibt",
    "a écrit",
    "écrivait",
    "escribió",
    "escribio",
    "ha escrito",
    "escreveu",
    "va escriure",
    "ha scritto",
    "scrisse",
    "schreef",
    "geschreven",
    "skrev",
    "skrifaði",
    "kirjoitti",
    "napisał",
    "napisała",
    "napisał(a)",
    "pisze",
    "napsal",
    "napsala",
    "napsal(a)",
    "napísal",
    "napísal(a)",
    "napísala",
    "írta",
    "a scris",
    "napisao",
    "napisala",
    "napisao je",
    "je napisal",
    "je napisal(a)",
    "je napisao",
    "kirjutas",
    "rakstīja",
    "rašė",
    "написал",
    "написала",
    "написал(а)",
    "написав",
    "написала",
    "написа",
    "пишет",
    "έγραψε",
    "yazdı",
    "şunu yazdı",
    "menulis",
    "đã viết",
    "เขียนว่า",
    "写道",
    "寫道",
    "のメール",
    "書きました",
    "作成",
    "작성",
    "님이 작성",
    "כתב",
    "כתבה",
    "كتب",
];
/// Verbs that stand before the writer's name.
const VERBS_BEFORE: &[&str] =
    &["schrieb", "schreef", "skrev", "écrivait", "escribió", "escreveu", "ha scritto", "napisał", "napisał(a)", "napsal", "написал", "пише", "wrote"];

const SENT_FROM: &[&str] = &[
    "sent from my ",
    "sent from mailbox",
    "sent from a ",
    "sent from yahoo",
    "sent from outlook",
    "sent from mail for",
    "sent from samsung",
    "sent from the ",
    "sent from proton",
    "sent from gmail",
    "sent wirelessly",
    "sent via ",
    "sent with ",
    "sent on the go",
    "get outlook for",
    "download outlook",
    "envoyé de mon",
    "envoyé depuis",
    "envoyé sans fil",
    "envoyé à partir",
    "obtenir outlook",
    "enviado desde mi",
    "enviado desde",
    "enviado do meu",
    "enviado a partir",
    "enviado de mi",
    "enviat des de",
    "obtener outlook",
    "obter o outlook",
    "von meinem ",
    "von unterwegs",
    "gesendet von",
    "gesendet mit",
    "diese nachricht wurde von mein",
    "holen sie sich outlook",
    "inviato da",
    "inviato dal",
    "scarica outlook",
    "verzonden vanaf",
    "verstuurd vanaf",
    "verzonden van",
    "outlook downloaden",
    "skickat från",
    "sendt fra",
    "hämta outlook",
    "hent outlook",
    "lähetetty",
    "wysłane z",
    "wysłano z",
    "odesláno z",
    "odoslané z",
    "küldve",
    "trimis de pe",
    "poslano s",
    "отправлено с",
    "отправлено из",
    "надіслано з",
    "надіслано із",
    "στάλθηκε από",
    "gönderildi",
    "đã gửi từ",
    "dikirim dari",
    "发自我的",
    "从我的",
    "傳自我的",
    "iphoneから送信",
    "나의 iphone",
];
const SENT_FROM_END: &[&str] = &["から送信", "에서 보냄", "cihazımdan gönderildi", "iphone'umdan gönderildi", "gesendet von meinem iphone", "via mobile"];

const CONFIDENTIAL: &[&str] = &[
    "confidential",
    "privileged",
    "vertraulich",
    "confidentiel",
    "confidencial",
    "riservat",
    "vertrouwelijk",
    "konfidentiell",
    "fortrolig",
    "poufn",
    "конфиденциальн",
    "luottamuks",
    "virus",
];
const THIS_MESSAGE: &[&str] = &[
    "this e-mail",
    "this email",
    "this message",
    "this communication",
    "this transmission",
    "intended recipient",
    "intended solely",
    "intended only",
    "diese e-mail",
    "diese nachricht",
    "ce message",
    "cet e-mail",
    "ce courriel",
    "este mensaje",
    "este correo",
    "esta mensagem",
    "este e-mail",
    "questo messaggio",
    "questa e-mail",
    "dit bericht",
    "deze e-mail",
    "detta meddelande",
    "denne e-post",
    "denne e-mail",
    "ta wiadomość",
    "это сообщение",
    "tämä viesti",
];
