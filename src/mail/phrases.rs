//! What mail servers and mail clients write, by language: facts of the programs, in lower case, matched by the modules beside this one.

/// What absence notes begin with. A person who answers such a note has `Re:` before it.
#[rustfmt::skip]
pub const ABSENCE_SUBJECTS: &[&str] = &[
    "automatic reply", "auto reply", "auto-reply", "autoreply", "auto response", "auto-response", "autoresponse", "automated reply", "automated response",
    "automatic response", "out of office", "out of the office", "out-of-office", "i am out of the office", "vacation reply", "on vacation:",
    "automatische antwort", "automatische rückantwort", "abwesenheitsnotiz", "abwesenheitsassistent", "abwesend:", "abwesenheit:", "außer haus:",
    "réponse automatique", "reponse automatique", "réponse d'absence", "message d'absence", "absence du bureau", "absent(e) du bureau",
    "respuesta automática", "respuesta automatica", "fuera de la oficina", "fuera de oficina", "ausente de la oficina", "resposta automática",
    "resposta automàtica", "resposta automatica", "fora do escritório", "ausência temporária", "risposta automatica", "fuori sede", "fuori ufficio",
    "automatisch antwoord", "automatische reactie", "afwezigheidsbericht", "afwezig:", "niet aanwezig", "automatiskt svar", "frånvaromeddelande",
    "frånvarande:", "automatisk svar", "autosvar", "fraværsmelding", "ikke til stede", "sjálfvirkt svar", "automaattinen vastaus", "poissaoloviesti",
    "poissa:", "automaatvastus", "automātiska atbilde", "automatinis atsakymas", "odpowiedź automatyczna", "automatyczna odpowiedź", "nieobecność w biurze",
    "automatická odpověď", "automatická odpoveď", "mimo kancelář", "automatikus válasz", "házon kívül", "răspuns automat", "raspuns automat",
    "automatski odgovor", "samodejni odgovor", "αυτόματη απάντηση", "автоматический ответ", "автоответ", "автоматична відповідь", "автоматичен отговор",
    "аутоматски одговор", "otomatik yanıt", "otomatik cevap", "balasan otomatis", "jawapan automatik", "trả lời tự động", "ตอบกลับอัตโนมัติ", "מענה אוטומטי",
    "תשובה אוטומטית", "رد تلقائي", "پاسخ خودکار", "स्वचालित उत्तर", "自动回复", "自動回覆", "自動回復", "自动答复", "自動返信", "自動応答", "不在通知", "자동 회신", "자동 응답", "부재중",
];

/// In subjects of bounces.
#[rustfmt::skip]
pub const FAILURE_SUBJECTS: &[&str] = &[
    "undeliver", "delivery fail", "delivery has failed", "delivery error", "delivery problem", "delivery report", "delivery status", "delivery notification",
    "permanent delivery", "failure notice", "failed mail", "mail could not", "mail failed", "mail delivery", "mail failure", "mail system error",
    "message undeliverable", "returned mail", "returned to sender", "returning message", "could not be delivered", "could not send message",
    "unable to deliver", "not delivered", "nondeliverable", "non-delivery", "delayed mail", "unzustellbar", "nicht zugestellt", "non remis",
    "échec de la remise", "no entregado", "no se ha podido entregar", "não entregue", "mancata consegna", "niet bezorgd", "не доставлено", "недоставлен",
    "配信不能", "系统退信", "退信",
];

/// In bounces themselves.
#[rustfmt::skip]
pub const FAILURE_WORDS: &[&str] = &[
    "could not be delivered", "couldn't be delivered", "cannot be delivered", "can not be delivered", "not be delivered", "wasn't able to deliver",
    "were not able to deliver", "not able to deliver", "unable to deliver", "could not deliver", "not delivered", "undeliverable", "undelivered",
    "delivery failed", "delivery fail", "delivery to the following", "did not reach", "failed recipient", "did not receive", "permanent fatal",
    "permanent error", "fatal errors", "delivery attempts", "user unknown", "unknown user", "no such user", "is not known", "problem with the e-mail address",
    "mailbox is full", "over quota", "returned to you", "has been returned", "failed addresses", "not been delivered", "not yet been", "delivery point",
    "无法送达", "konnte nicht zugestellt", "n'a pas pu etre delivre", "n'a pas pu être", "no se pudo entregar", "não pôde ser entregue",
    "non è stato possibile consegnare", "не удалось доставить",
];

/// The server goes on trying.
#[rustfmt::skip]
pub const DELAY_WORDS: &[&str] = &[
    "this is a warning", "warning message only", "warning only", "will be retried", "will continue trying", "will continue to", "will keep trying",
    "still trying", "being retried", "has been delayed", "not yet been delivered", "have not yet received", "no action is required", "do not need to resend",
    "no need to resend", "delivery attempts will continue", "temporary non-fatal", "will try again", "just a warning",
];

/// Where a server's note ends and the letter that came back begins.
#[rustfmt::skip]
pub const RETURNED_LETTER: &[&str] = &[
    "is a copy of", "copy of the message, including", "copy of the original", "below this line", "below the next line", "original message follows",
    "original message as received", "original message attached", "original message headers", "start of returned message", "message header follows",
    "header of the source mail", "returned message follows", "returned mail ---", "unsent message below", "old message:", "original message ---",
    "first part of the message", "---- returned", "--returned", "message text follows", "message follows:",
];

/// The mailbox is full.
#[rustfmt::skip]
pub const FULL_WORDS: &[&str] = &[
    "quota", "mailbox full", "mailbox is full", "mailfolder is full", "mail box is full", "inbox is full", "mailbox size", "mail box space", "storage",
    "disk full", "exceeded its limit", "boîte pleine", "postfach voll",
];

/// The mailbox or its domain does not exist.
#[rustfmt::skip]
pub const HARD_WORDS: &[&str] = &[
    "user unknown", "unknown user", "user not known", "user is unknown", "unknown or illegal", "no such user", "no such recipient", "no such mailbox",
    "no such address", "no such account", "no such person", "no such local", "no mailbox", "no account", "not a valid", "invalid recipient",
    "invalid address", "invalid user", "invalid mailbox", "unknown recipient", "recipient unknown", "unknown address", "unknown account", "address unknown",
    "address not found", "recipient not found", "user not found", "mailbox not found", "not found in", "not recognized", "not listed in", "not listed on",
    "does not exist", "doesn't exist", "doesn't have", "didn't exist", "no longer exists", "not our customer", "no matches to nameserver",
    "did not exactly match", "bad address", "bad destination", "bad recipient", "unrouteable", "unroutable", "host unknown", "host not found", "unknown host",
    "domain not found", "name not found", "nxdomain", "no such domain", "no such host", "couldn't find any host", "not exist", "invalid final delivery",
    "does not have a", "no longer valid", "n'existe pas", "unbekannt", "no existe", "não existe", "non esiste",
];

/// It is the letter itself.
#[rustfmt::skip]
pub const CONTENT_WORDS: &[&str] = &[
    "too big", "too large", "message size", "size exceeds", "virus", "infected", "malware", "attachment", "bad header", "malformed", "line too long",
];

/// The sender is not welcome.
#[rustfmt::skip]
pub const BLOCKED_WORDS: &[&str] = &[
    "spam", "blocked", "blacklist", "block list", "blocklist", "reputation", "policy", "access denied", "not authorized", "not authorised",
    "permission denied", "relay", "dmarc", "dkim", "spf ", "not accepting mail from", "refused", "rejected",
];

/// Tried too long.
#[rustfmt::skip]
pub const EXPIRED_WORDS: &[&str] = &[
    "expired", "queue too long", "in the queue", "queue period", "retry time", "retry timeout", "giving up", "attempts:", "maximum delivery attempts",
    "not been collected", "too many times", "timed out", "time-out", "timeout",
];

/// A passing trouble.
#[rustfmt::skip]
pub const SOFT_WORDS: &[&str] = &[
    "temporar", "try again", "connection refused", "not responding", "unavailable", "too many hops", "loop", "cannot connect", "could not connect",
    "connection",
];

/// What stands between dashes above a quoted or forwarded letter.
#[rustfmt::skip]
pub const ORIGINAL_MESSAGE: &[&str] = &[
    "original message", "original email", "original e-mail", "original appointment", "reply message", "forwarded message", "begin forwarded message",
    "originalnachricht", "ursprüngliche nachricht", "ursprungliche nachricht", "antwort nachricht", "weitergeleitete nachricht", "message d'origine",
    "message d’origine", "message original", "message transféré", "message initial", "mensaje original", "mensaje reenviado", "mensagem original",
    "mensagem encaminhada", "messaggio originale", "messaggio inoltrato", "missatge original", "oorspronkelijk bericht", "doorgestuurd bericht",
    "oprindelig meddelelse", "videresendt meddelelse", "opprinnelig melding", "videresendt melding", "originalmeddelande", "ursprungligt meddelande",
    "vidarebefordrat meddelande", "alkuperäinen viesti", "välitetty viesti", "upprunaleg skilaboð", "wiadomość oryginalna", "oryginalna wiadomość",
    "wiadomość przekazana dalej", "původní zpráva", "pôvodná správa", "eredeti üzenet", "mesaj original", "mesajul original", "izvirno sporočilo",
    "izvorna poruka", "originalna poruka", "исходное сообщение", "пересылаемое сообщение", "оригінальне повідомлення", "оригинално съобщение",
    "αρχικό μήνυμα", "orijinal mesaj", "özgün ileti", "thư gốc", "pesan asli", "原始邮件", "原始郵件", "原始信件", "元のメッセージ", "original message から", "원본 메시지", "원본 메일",
    "הודעה מקורית", "الرسالة الأصلية",
];

/// "From" above a quoted letter.
#[rustfmt::skip]
pub const FROM_LABELS: &[&str] = &[
    "from", "von", "de", "da", "van", "från", "fra", "od", "от", "від", "lähettäjä", "feladó", "από", "gönderen", "kimden", "kimdən", "expéditeur",
    "remitente", "remetente", "mittente", "afzender", "avsändare", "avsender", "afsender", "nadawca", "odesílatel", "odosielateľ", "de la", "expeditor",
    "pošiljatelj", "saatja", "no", "nuo", "frá", "dari", "daripada", "từ", "จาก", "发件人", "寄件者", "寄件人", "差出人", "送信者", "보낸 사람", "보낸사람", "מאת", "من",
    "отправитель",
];

/// "Sent" and "Date" above a quoted letter.
#[rustfmt::skip]
pub const DATE_LABELS: &[&str] = &[
    "sent", "date", "sent on", "gesendet", "gesendet am", "datum", "envoyé", "envoyé le", "date d'envoi", "enviado", "enviado el", "enviado em", "enviada em",
    "enviat", "fecha", "data", "data de enviament", "inviato", "data invio", "verzonden", "skickat", "sendt", "dato", "wysłano", "wysłane", "odesláno",
    "odoslané", "dátum", "lähetetty", "päiväys", "päivämäärä", "elküldve", "küldve", "trimis", "trimis la", "data trimiterii", "poslano", "poslato",
    "saadetud", "kuupäev", "nosūtīts", "išsiųsta", "dagsetning", "отправлено", "дата", "изпратено", "надіслано", "στάλθηκε", "ημερομηνία", "gönderildi",
    "gönderme tarihi", "tarih", "terkirim", "tanggal", "đã gửi", "ngày", "ส่ง", "วันที่", "发送时间", "发送日期", "日期", "時間", "寄件日期", "送信日時", "日時", "日付", "보낸 날짜",
    "날짜", "נשלח", "תאריך", "تم الإرسال", "التاريخ",
];

/// "To" and "Cc" above a quoted letter.
#[rustfmt::skip]
pub const TO_LABELS: &[&str] = &[
    "to", "an", "à", "a", "para", "aan", "till", "til", "do", "komu", "pro", "vastaanottaja", "címzett", "кому", "до", "προς", "kime", "alıcı", "către",
    "prima", "za", "saaja", "kam", "kepada", "tới", "đến", "ถึง", "收件人", "收件者", "宛先", "받는 사람", "받는사람", "אל", "إلى", "cc", "kopie", "kopia", "kopi", "copie à",
    "copia", "копия", "抄送",
];

/// "Subject" above a quoted letter.
#[rustfmt::skip]
pub const SUBJECT_LABELS: &[&str] = &[
    "subject", "betreff", "objet", "asunto", "assunto", "oggetto", "assumpte", "onderwerp", "ämne", "emne", "efni", "temat", "předmět", "predmet", "aihe",
    "tárgy", "subiect", "zadeva", "naslov", "teema", "temats", "tema", "тема", "относно", "θέμα", "konu", "subjek", "perihal", "chủ đề", "tiêu đề", "เรื่อง",
    "主题", "主題", "主旨", "件名", "제목", "נושא", "الموضوع",
];

/// What the introduction of a quotation begins with.
#[rustfmt::skip]
pub const OPENERS: &[&str] = &[
    "on ", "at ", "am ", "le ", "el ", "il ", "em ", "a ", "op ", "den ", "på ", "man", "w dniu ", "dnia ", "dne ", "dňa ", "în ", "la ", "pe ", "vào ",
    "pada ", "u ", "dana ", "ons", "tor", "fre", "lør", "lör", "søn", "sön", "mån", "tir", "tis", "kl", "ma ", "ti ", "ke ", "to ", "su ", "в ", "на ",
    "στις ", "σε ", "пн", "вт", "ср", "чт", "пт", "сб", "вс", "mon", "tue", "wed", "thu", "fri", "sat", "sun", "dom", "lun", "mar", "mer", "gio", "ven",
    "sab", "jue", "vie", "sáb", "seg", "ter", "qua", "qui", "sex", "mo.", "di.", "mi.", "do.", "fr.", "sa.", "so.", "sent from",
];

/// English days and months, by three letters.
#[rustfmt::skip]
pub const DAYS_AND_MONTHS: &[&str] = &[
    "mon", "tue", "wed", "thu", "fri", "sat", "sun", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// What an introduction ends with, before its colon.
#[rustfmt::skip]
pub const VERBS_LAST: &[&str] = &[
    "wrote", "writes", "sent", "said", "schrieb", "geschrieben", "schreibt", "a écrit", "écrivait", "escribió", "escribio", "ha escrito", "escreveu",
    "va escriure", "ha scritto", "scrisse", "schreef", "geschreven", "skrev", "skrifaði", "kirjoitti", "napisał", "napisała", "napisał(a)", "pisze", "napsal",
    "napsala", "napsal(a)", "napísal", "napísal(a)", "napísala", "írta", "a scris", "napisao", "napisala", "napisao je", "je napisal", "je napisal(a)",
    "je napisao", "kirjutas", "rakstīja", "rašė", "написал", "написала", "написал(а)", "написав", "написа", "пишет", "έγραψε", "yazdı", "şunu yazdı",
    "menulis", "đã viết", "เขียนว่า", "写道", "寫道", "のメール", "書きました", "作成", "작성", "님이 작성", "כתב", "כתבה", "كتب",
];

/// Verbs of introductions that stand before the writer's name.
#[rustfmt::skip]
pub const VERBS_BEFORE: &[&str] = &[
    "schrieb", "schreef", "skrev", "écrivait", "escribió", "escreveu", "ha scritto", "napisał", "napisał(a)", "napsal", "написал", "пише", "wrote",
];

/// What the line of a phone begins with.
#[rustfmt::skip]
pub const SENT_FROM: &[&str] = &[
    "sent from my ", "sent from mailbox", "sent from a ", "sent from yahoo", "sent from outlook", "sent from mail for", "sent from samsung", "sent from the ",
    "sent from proton", "sent from gmail", "sent wirelessly", "sent via ", "sent with ", "sent on the go", "get outlook for", "download outlook",
    "envoyé de mon", "envoyé depuis", "envoyé sans fil", "envoyé à partir", "obtenir outlook", "enviado desde mi", "enviado desde", "enviado do meu",
    "enviado a partir", "enviado de mi", "enviat des de", "obtener outlook", "obter o outlook", "von meinem ", "von unterwegs", "gesendet von",
    "gesendet mit", "diese nachricht wurde von mein", "holen sie sich outlook", "inviato da", "inviato dal", "scarica outlook", "verzonden vanaf",
    "verstuurd vanaf", "verzonden van", "outlook downloaden", "skickat från", "sendt fra", "hämta outlook", "hent outlook", "lähetetty", "wysłane z",
    "wysłano z", "odesláno z", "odoslané z", "küldve", "trimis de pe", "poslano s", "отправлено с", "отправлено из", "надіслано з", "надіслано із",
    "στάλθηκε από", "gönderildi", "đã gửi từ", "dikirim dari", "发自我的", "从我的", "傳自我的", "iphoneから送信", "나의 iphone",
];

/// … or ends with.
#[rustfmt::skip]
pub const SENT_FROM_END: &[&str] = &[
    "から送信", "에서 보냄", "cihazımdan gönderildi", "iphone'umdan gönderildi", "gesendet von meinem iphone", "via mobile",
];

/// In disclaimers.
#[rustfmt::skip]
pub const CONFIDENTIAL: &[&str] = &[
    "confidential", "privileged", "vertraulich", "confidentiel", "confidencial", "riservat", "vertrouwelijk", "konfidentiell", "fortrolig", "poufn",
    "конфиденциальн", "luottamuks", "virus",
];

/// In disclaimers, beside one of the above.
#[rustfmt::skip]
pub const THIS_MESSAGE: &[&str] = &[
    "this e-mail", "this email", "this message", "this communication", "this transmission", "intended recipient", "intended solely", "intended only",
    "diese e-mail", "diese nachricht", "ce message", "cet e-mail", "ce courriel", "este mensaje", "este correo", "esta mensagem", "este e-mail",
    "questo messaggio", "questa e-mail", "dit bericht", "deze e-mail", "detta meddelande", "denne e-post", "denne e-mail", "ta wiadomość", "это сообщение",
    "tämä viesti",
];
