//! What every letter holds and what means nothing more than itself: greetings, thanks, farewells, yes and no.
use super::fold::fold;

/// Whether a line is nothing but a greeting, thanks or a farewell: "Dear team,", "Thanks a lot!", "Mit freundlichen Grüßen".
pub fn is_courtesy(line: &str) -> bool {
    is_greeting(line) || is_farewell(line)
}

/// A line that opens a letter and says nothing else.
pub fn is_greeting(line: &str) -> bool {
    let key = fold(line);
    let words: Vec<&str> = key.split(' ').collect();
    let opens = GREETINGS.split('|').any(|greeting| key == greeting || key.strip_prefix(greeting).is_some_and(|rest| rest.starts_with(' ')));
    // "Hello Pairpost team": to whom, and no sentence after it.
    opens && words.len() <= 6 && !line.trim_end().trim_end_matches(['!', ',', '.', ':']).contains(['.', '!', '?'])
}

/// Thanks or a farewell, without the name below.
pub fn is_farewell(line: &str) -> bool {
    let key = fold(line);
    if key.is_empty() || line.trim() == "--" {
        return line.trim().starts_with("--");
    }
    let words: Vec<&str> = key.split(' ').collect();
    words.len() <= 10 && words.iter().all(|word| has(FAREWELLS, word) || has(SMALL, word)) && words.iter().any(|word| has(FAREWELLS, word))
}

/// A short answer that is yes or no and nothing else: "Yes, please", "Ja", "no, thank you". `None` where it says more, or both.
pub fn yes_no(text: &str) -> Option<bool> {
    if text.contains(['?', '？']) {
        return None;
    }
    let key = fold(text);
    let words: Vec<&str> = key.split(' ').filter(|word| !word.is_empty()).collect();
    let only = |list: &str| !words.is_empty() && words.len() <= 14 && words.iter().all(|word| has(list, word) || has(SMALL, word) || has(FAREWELLS, word));
    let (yes, no) = (words.iter().any(|word| has(YES, word)), words.iter().any(|word| has(NO, word)));
    if yes && !no && only(&format!("{YES} {ASSENT}")) {
        Some(true)
    } else if no && only(&format!("{NO} {DISSENT}")) && !words.iter().any(|word| has(YES, word)) {
        Some(false)
    } else {
        None
    }
}

fn has(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|listed| listed == word)
}

const GREETINGS: &str = "hi|hello|hey|dear|good morning|good afternoon|good evening|good day|greetings|to whom it may concern|hola|buenos dias|buenas tardes|\
    estimados|estimadas|estimado|estimada|querido|querida|bonjour|bonsoir|salut|cher|chere|chers|madame|monsieur|guten tag|guten morgen|hallo|liebe|lieber|liebes|\
    sehr geehrte|sehr geehrter|ola|bom dia|boa tarde|boa noite|caro|cara|prezados|prezado|prezada|ciao|buongiorno|salve|gentile|beste|geachte|dag|hej|hei|moi|kia ora|\
    tena koutou|здравствуйте|привет|добрый день|уважаемые|czesc|dzien dobry|dobry den|szia|merhaba|γεια|مرحبا|السلام عليكم|こんにちは|您好|你好|안녕하세요|namaste|habari|jambo";

const FAREWELLS: &str = "thanks thank thx regards best sincerely cheers yours wishes greetings faithfully cordially warmly kindly bye gracias saludos saludo atentamente \
    cordialmente abrazo abrazos merci cordialement salutations danke grusse grussen gruss gruessen gruesse mfg vg lg obrigado obrigada atenciosamente abraco abracos \
    cumprimentos grazie saluti bedankt dank groeten groet tack halsningar tak hilsen kiitos terveisin dziekuje pozdrawiam dekuji koszonom tesekkurler спасибо ευχαριστω \
    شكرا ありがとうございます 谢谢 감사합니다 nga mihi asante";

/// Words that go with thanks and farewells.
const SMALL: &str = "you so very much many a lot in advance again and all the for your help with kind warm warmest kindest every good from to team everyone please un una \
    muy muchas mucho por favor bien a vous beaucoup s il vous plait vielen viele liebe lieben freundlichen mit besten beste schone herzliche bitte muito muita um uma se \
    le la tante mille molto hartelijk vriendelijke met med vanliga vennlig ystavallisin truly time patience support";

const YES: &str = "yes y yep yeah yup ja jawohl si oui ok okay sure confirm confirmed confirming agree agreed agreeing accept accepted certainly absolutely definitely \
    confirmo confirma confirme bestatige einverstanden sim claro certo da tak ano igen kylla joo evet jes oo naam да подтверждаю так ναι نعم はい 是 是的 确认 对 네 예 correct conferma confermo \
    aye ae bevestig bekraftar";

const ASSENT: &str = "gern gerne naturlich klar volontiers bien encantado encantada claro gusto mucho volentieri certamente prazer mine me myself was did wrote sent from letter i we it this that thats is are all everything above details of course will do would like want be love glad happy take part am in my sign up signup signing \
    registration participation place seat subscription right fine perfect looks great go ahead correct here by hereby can count me on das ich hiermit stimmt alles es \
    todo esta correcto de acuerdo yo eso es tout juste je d accord daccord";

const NO: &str = "no nope nah nein non nao nej nee nei ei not dont never нет не nie ne nem hayir οχι لا いいえ 不 不是 아니요 aucun";

const DISSENT: &str = "i we do want this that it was me wasnt didnt did now longer at all need interested am im confirm write wrote send sent any more anymore stop \
    quiero deseo fui yo fue nicht ich das war will c etait moi pas ce je fui eu quero";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_and_no_are_heard_in_many_tongues_and_only_alone() {
        for text in [
            "yes",
            "Yes.",
            "YES!",
            "Yes, please",
            "ja",
            "Sí",
            "oui",
            "ok",
            "OK, thanks!",
            "I confirm",
            "Yes, I confirm my registration.",
            "sim",
            "да",
            "はい",
            "Yes, that's all correct",
            "I agree",
            "Ja, gerne",
            "Oui, bien volontiers",
            "Yes, it was mine.",
            "Yes, I wrote it",
        ] {
            assert_eq!(yes_no(text), Some(true), "{text}");
        }
        for text in ["no", "No.", "No, thank you", "nein", "não", "Non merci", "I do not want this", "Don't", "no, that was not me"] {
            assert_eq!(yes_no(text), Some(false), "{text}");
        }
        for text in [
            "",
            "maybe",
            "Yes, but my country is Peru",
            "No, my country is Peru",
            "yes and no",
            "not yes",
            "How do I confirm?",
            "Thanks!",
            "Is it ok to write in French?",
        ] {
            assert_eq!(yes_no(text), None, "{text}");
        }
    }

    #[test]
    fn courtesies_are_told_from_what_is_meant() {
        for line in [
            "Hi,",
            "Dear Pairpost team,",
            "Hello!",
            "Guten Tag",
            "Thanks a lot!",
            "Many thanks and best wishes,",
            "Kind regards",
            "Mit freundlichen Grüßen",
            "Saludos,",
            "--",
            "Cordialement",
        ] {
            assert!(is_courtesy(line), "{line}");
        }
        for line in ["", "Peru", "Hi, I would like to pause my participation", "leave", "please stop", "Best Library of Lima", "Hello. Please stop."] {
            assert!(!is_courtesy(line), "{line}");
        }
    }
}
