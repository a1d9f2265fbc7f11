//! The people of the demonstration, all invented: how they write, what they say, what they answer. Their domains are those of RFC 2606.

/// How somebody's mail program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Plain text above a quotation.
    Plain,
    /// Answers inside the quotation, line by line.
    InsideTheQuote,
    /// HTML alone, the quotation in a `blockquote`.
    Html,
    /// ISO 8859-1, eight bits as they are.
    Latin1,
    /// UTF-8 in base 64.
    Base64,
    /// The letter answered stands below, unmarked, under its From, Sent, To and Subject.
    Below,
    /// A telephone: quoted-printable, and says so at the end.
    Phone,
}

impl Manner {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Plain => "plain text above the quoted form",
            Self::InsideTheQuote => "answers inside the quoted form",
            Self::Html => "HTML, no plain text at all",
            Self::Latin1 => "Latin-1, eight bits",
            Self::Base64 => "UTF-8 in base 64",
            Self::Below => "the whole letter repeated below, To and all",
            Self::Phone => "from a telephone, quoted-printable",
        }
    }
}

/// Somebody with a mailbox.
#[derive(Debug)]
pub struct Person {
    /// The name they show.
    pub name: &'static str,
    /// Their mailbox, which nobody else may see.
    pub address: &'static str,
    /// Their computer, which nobody else may see either.
    pub host: &'static str,
    /// And where it is (RFC 5737: an address of nobody).
    pub ip: &'static str,
    /// How they write.
    pub manner: Manner,
    /// Their first letter to us.
    pub hello: &'static str,
    /// What they fill in.
    pub form: &'static [(&'static str, &'static str)],
    /// A line that they correct once they see what was understood.
    pub correction: Option<(&'static str, &'static str)>,
    /// How they say yes.
    pub yes: &'static str,
}

/// Thirteen people: one will be the odd one out.
pub static PEOPLE: [Person; 13] = [
    Person {
        name: "Ana Quispe",
        address: "ana.quispe@example.org",
        host: "reading-room-2.ana.example.org",
        ip: "198.51.100.101",
        manner: Manner::InsideTheQuote,
        hello: "Hello,\n\na colleague in Arequipa told me about you. I would love to write with a librarian far away.\n\nAna",
        form: &[
            ("Name", "Ana Quispe"),
            ("Country", "Peru"),
            ("Languages", "Spanish, English"),
            ("Role", "cataloguer of colonial manuscripts"),
            ("Kind of library", "academic"),
            ("Interests", "rare books, local history"),
            ("How often", "fortnightly"),
            ("Monthly topics", "yes"),
        ],
        correction: None,
        yes: "yes",
    },
    Person {
        name: "Jörg Möller",
        address: "joerg.moeller@example.net",
        host: "pc-47.ausleihe.joerg.example.net",
        ip: "198.51.100.102",
        manner: Manner::Latin1,
        hello: "Guten Tag,\n\nich würde gerne teilnehmen. Was muss ich tun?\n\nSchöne Grüße\nJörg Möller",
        form: &[
            ("Name", "Jörg Möller"),
            ("Country", "Germany"),
            ("Languages", "German, English"),
            ("Role", "head of lending"),
            ("Kind of library", "öffentliche Bibliothek"),
            ("Interests", "reading rooms, comics"),
            ("How often", "monthly"),
            ("Monthly topics", "no"),
        ],
        correction: None,
        yes: "Yes",
    },
    Person {
        name: "Hana Dvořáková",
        address: "hana@library.example.com",
        host: "thinkpad.hana.example.com",
        ip: "198.51.100.103",
        manner: Manner::Base64,
        hello: "Dobrý den,\n\nI read about the exchange in our newsletter and I'm curious. Please count me in.\n\nHana",
        form: &[
            ("Name", "Hana Dvořáková"),
            ("Country", "Czechia"),
            ("Languages", "Czech, English"),
            ("Role", "children's librarian in Brno"),
            ("Kind of library", "public"),
            ("Interests", "storytelling, comics"),
            ("How often", "weekly"),
            ("Monthly topics", "yes"),
        ],
        correction: None,
        yes: "Yes!",
    },
    Person {
        name: "Tama Ngata",
        address: "tama@example.org",
        host: "mbp.tama.example.org",
        ip: "198.51.100.104",
        manner: Manner::Plain,
        hello: "Kia ora! How do I join?\n\nTama",
        form: &[
            ("Name", "Tama Ngata"),
            ("Country", "Aotearoa New Zealand"),
            ("Languages", "English, Māori"),
            ("Role", "archivist"),
            ("Kind of library", "national"),
            ("Partner from", "Latin America"),
            ("Interests", "oral history, local history"),
            ("Monthly topics", "yes"),
        ],
        correction: None,
        yes: "Yes",
    },
    Person {
        name: "Aminata Diallo",
        address: "aminata.diallo@example.net",
        host: "bureau.aminata.example.net",
        ip: "198.51.100.105",
        manner: Manner::Html,
        hello: "Bonjour,\n\nI run a library of four shelves in Saint-Louis and I want to know how others do it.\n\nAminata",
        form: &[
            ("Name", "Aminata Diallo"),
            ("Country", "Senegal"),
            ("Languages", "French, English"),
            ("Role", "I do everything"),
            ("Kind of library", "public"),
            ("Interests", "outreach, storytelling"),
            ("How often", "monthly"),
            ("Monthly topics", "yes"),
        ],
        correction: None,
        yes: "Yes",
    },
    Person {
        name: "森 健二",
        address: "kenji.mori@example.com",
        host: "kenji-pc.lib.example.com",
        ip: "198.51.100.106",
        manner: Manner::Base64,
        hello: "Dear organisers,\n\nmay I take part from Sapporo?\n\nMori Kenji (森 健二)",
        form: &[
            ("Name", "森 健二"),
            ("Country", "Japan"),
            ("Languages", "Japanese, English"),
            ("Role", "systems librarian"),
            ("Kind of library", "university library"),
            ("Interests", "metadata, open access"),
            ("How often", "fortnightly"),
            ("Monthly topics", "no"),
        ],
        correction: None,
        yes: "Yes",
    },
    Person {
        name: "Zanele Khumalo",
        address: "zanele.k@example.org",
        host: "zanele-phone.example.org",
        ip: "198.51.100.107",
        manner: Manner::Phone,
        hello: "hi can I still join? Z",
        form: &[
            ("Name", "Zanele Khumalo"),
            ("Country", "South Africa"),
            ("Languages", "Zulu, English"),
            ("Role", "school librarian"),
            ("Kind of library", "school"),
            ("Interests", "reading clubs, storytelling"),
            ("How often", "weekly"),
            ("Monthly topics", "yes"),
        ],
        correction: None,
        yes: "Yes",
    },
    Person {
        name: "Luís Conceição",
        address: "luis.conceicao@example.net",
        host: "torre-do-tombo-9.luis.example.net",
        ip: "198.51.100.108",
        manner: Manner::Latin1,
        hello: "Olá,\n\ngostaria de participar, se ainda há lugar. I write in English too.\n\nLuís Conceição",
        form: &[
            ("Name", "Luís Conceição"),
            ("Country", "Portugal"),
            ("Languages", "Portuguese, English, Spanish"),
            ("Role", "conservator"),
            ("Kind of library", "national"),
            ("Partner from", "South America"),
            ("Interests", "rare books, preservation"),
            ("Monthly topics", "no"),
        ],
        correction: None,
        yes: "Yes",
    },
    Person {
        name: "Maija Virtanen",
        address: "maija.virtanen@example.com",
        host: "kirjasto-114.maija.example.com",
        ip: "198.51.100.109",
        manner: Manner::Below,
        hello: "Hello, I would like to be matched with a colleague abroad.\n\nBest regards\nMaija Virtanen",
        form: &[
            ("Name", "Maija Virtanen"),
            ("Country", "Finland"),
            ("Languages", "Finnish, Swedish, English"),
            ("Role", "branch librarian"),
            ("Kind of library", "public"),
            ("Partner from", "Africa"),
            ("Interests", "outreach, gardening"),
            ("How often", "monthly"),
            ("Monthly topics", "yes"),
        ],
        correction: None,
        yes: "Yes",
    },
    Person {
        name: "Priya Raman",
        address: "priya@raman.example.org",
        host: "desk.priya.example.org",
        ip: "198.51.100.110",
        manner: Manner::Plain,
        hello: "Good morning,\n\nplease send me the form.\n\nPriya",
        form: &[
            ("Name", "Priya Raman"),
            ("Country", "Iceland"),
            ("Languages", "Tamil, English"),
            ("Role", "hospital librarian"),
            ("Kind of library", "medical"),
            ("Interests", "open access, metadata"),
            ("How often", "fortnightly"),
            ("Monthly topics", "yes"),
        ],
        correction: Some(("Country", "India")),
        yes: "Yes",
    },
    Person {
        name: "Owen Hughes",
        address: "owen.hughes@example.net",
        host: "llyfrgell.owen.example.net",
        ip: "198.51.100.111",
        manner: Manner::Plain,
        hello: "Shwmae,\n\nif you have room for somebody from a small town in Wales, I'm in.\n\nOwen",
        form: &[
            ("Name", "Owen Hughes"),
            ("Country", "United Kingdom"),
            ("Languages", "Welsh, English"),
            ("Kind of library", "the one with the leaky roof"),
            ("Role", "the only librarian in town"),
            ("Interests", "local history, gardening"),
            ("How often", "monthly"),
            ("Monthly topics", "yes"),
        ],
        correction: Some(("Kind of library", "public")),
        yes: "Yes",
    },
    Person {
        name: "Giulia Rossi",
        address: "giulia.rossi@example.com",
        host: "imac.giulia.example.com",
        ip: "198.51.100.112",
        manner: Manner::Html,
        hello: "Buongiorno,\n\nI'd like to practise my English and meet a colleague.\n\nGiulia",
        form: &[
            ("Name", "Giulia Rossi"),
            ("Country", "Italy"),
            ("Languages", "Italian, English"),
            ("Role", "music librarian"),
            ("Kind of library", "special"),
            ("Interests", "music, preservation"),
            ("How often", "fortnightly"),
            ("Monthly topics", "no"),
        ],
        correction: None,
        yes: "Yes",
    },
    Person {
        name: "Elif Kaya",
        address: "elif.kaya@example.org",
        host: "elif-tablet.example.org",
        ip: "198.51.100.113",
        manner: Manner::Phone,
        hello: "Merhaba! I'm a student of library science in İzmir. May students join?",
        form: &[
            ("Name", "Elif Kaya"),
            ("Country", "Türkiye"),
            ("Languages", "Turkish, English"),
            ("Role", "student"),
            ("Kind of library", "student"),
            ("Partner's experience", "more"),
            ("Interests", "metadata, music"),
            ("Monthly topics", "no"),
        ],
        correction: None,
        yes: "Yes",
    },
];

/// Two who want the topics and no partner.
pub static SUBSCRIBERS: [Person; 2] = [
    Person {
        name: "Noor",
        address: "noor@example.com",
        host: "noor-home.example.com",
        ip: "198.51.100.121",
        manner: Manner::Plain,
        hello: "Please send me the topics. Thank you!\n\nNoor",
        form: &[],
        correction: None,
        yes: "Yes",
    },
    Person {
        name: "Béla Szabó",
        address: "bela.szabo@example.net",
        host: "konyvtar.bela.example.net",
        ip: "198.51.100.122",
        manner: Manner::Html,
        hello: "I heard that you write to librarians once a month. I would like that.\n\nBéla",
        form: &[],
        correction: None,
        yes: "Yes",
    },
];

/// Somebody who found an alias and has no business there.
pub static STRANGER: Person = Person {
    name: "Best Offers",
    address: "offers@cheap.example.com",
    host: "bulk7.cheap.example.com",
    ip: "198.51.100.131",
    manner: Manner::Html,
    hello: "Dear librarian,\n\nyour shelves deserve our shelves. Answer today!",
    form: &[],
    correction: None,
    yes: "",
};

/// Everybody whose address nobody else may see.
pub fn everybody() -> impl Iterator<Item = &'static Person> {
    PEOPLE.iter().chain(&SUBSCRIBERS).chain(std::iter::once(&STRANGER))
}
