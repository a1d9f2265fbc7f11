//! Leaving the topics by one click (RFC 8058): GET shows one button, POST leaves.
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{Fault, Pages, page};
use crate::handlers::{Context, topics};

#[derive(Serialize)]
struct Leave {
    left: bool,
    path: String,
}

/// The button. A GET changes nothing: mail programs and their guards fetch links by themselves.
pub async fn show(State(pages): State<Pages>, Path(id): Path<String>) -> Result<Response, Fault> {
    match pages.site.secret.read_signed_id("leave", &id) {
        Some(_) => page(&pages, "leave", &Leave { left: false, path: format!("/leave/{id}") }),
        None => unknown(&pages),
    }
}

/// Leaves. Answered alike the second time: who clicks twice has left.
pub async fn leave(State(pages): State<Pages>, Path(id): Path<String>) -> Result<Response, Fault> {
    let Some(person) = pages.site.secret.read_signed_id("leave", &id) else { return unknown(&pages) };
    let mut tx = pages.store.begin().await?;
    topics::leave(&mut Context::new(&mut tx, (pages.clock)(), &pages.site), person).await?;
    tx.commit().await.map_err(anyhow::Error::from)?;
    page(&pages, "leave", &Leave { left: true, path: String::new() })
}

fn unknown(pages: &Pages) -> Result<Response, Fault> {
    let words = format!("This link is not one of ours, or not whole. Write to topics-leave@{} to leave.\n", pages.site.domain);
    Ok((StatusCode::NOT_FOUND, words).into_response())
}
