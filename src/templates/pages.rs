//! The pages: their sources; each page's content is a struct beside its handler.

/// Every embedded page: its path below `templates/`, and its source.
pub const SOURCES: &[(&str, &str)] = &[
    ("web/base.html.j2", include_str!("../../templates/web/base.html.j2")),
    ("web/held.html.j2", include_str!("../../templates/web/held.html.j2")),
    ("web/home.html.j2", include_str!("../../templates/web/home.html.j2")),
    ("web/leave.html.j2", include_str!("../../templates/web/leave.html.j2")),
    ("web/letter.html.j2", include_str!("../../templates/web/letter.html.j2")),
    ("web/mailbox.html.j2", include_str!("../../templates/web/mailbox.html.j2")),
    ("web/mailboxes.html.j2", include_str!("../../templates/web/mailboxes.html.j2")),
];
