//! Letters that wait to be read before they leave (`delivery.mode = "review"`): on this machine alone; released by hand at a shell.
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use uuid::Uuid;

use super::{
    Fault, Pages,
    letter::{self, Link, Place},
    page,
};
use crate::store::record;

/// Letters shown on one page.
const SHOWN: i64 = 500;

#[derive(Serialize)]
struct Waiting {
    id: Uuid,
    to: String,
    kind: String,
}

#[derive(Serialize)]
struct Held {
    letters: Vec<Waiting>,
}

/// Everything that is held.
pub async fn list(State(pages): State<Pages>) -> Result<Response, Fault> {
    let rows = record::queue(&mut *pages.store.connection().await?, Some("held"), SHOWN).await?;
    let letters = rows.into_iter().map(|row| Waiting { id: row.id, to: row.address.unwrap_or_default(), kind: row.kind }).collect();
    page(&pages, "held", &Held { letters })
}

/// One letter.
pub async fn show(State(pages): State<Pages>, Path(id): Path<Uuid>) -> Result<Response, Fault> {
    let Some(raw) = words(&pages, id).await? else { return Ok(nothing()) };
    let up = vec![Link::new("Held letters", "/held"), Link::new(&format!("let it go with: pairpost queue release {id}"), "/held")];
    letter::show(&pages, &raw, Place { up, frame: format!("/held/{id}/html"), older: None, newer: None })
}

/// Its HTML part by itself, for a frame.
pub async fn html(State(pages): State<Pages>, Path(id): Path<Uuid>) -> Result<Response, Fault> {
    Ok(words(&pages, id).await?.map_or_else(nothing, |raw| letter::html(&raw)))
}

async fn words(pages: &Pages, id: Uuid) -> anyhow::Result<Option<Vec<u8>>> {
    Ok(record::queued(&mut *pages.store.connection().await?, id).await?.filter(|(row, _)| row.state == "held").and_then(|(_, raw)| raw))
}

fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "There is no such letter, or it is not held any more.\n").into_response()
}
