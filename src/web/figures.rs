//! Whether we are ready for mail, and the figures that an operator's graphs are made of (Prometheus' text format).
use std::fmt::Write as _;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{Fault, Pages};
use crate::{store::exchanges, telemetry};

/// 200 while letters can be kept, else 503: a balancer sends mail elsewhere.
pub async fn ready(State(pages): State<Pages>) -> Response {
    match pages.store.ready().await {
        Ok(()) => "ready\n".into_response(),
        Err(why) => {
            tracing::warn!(why, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response()
        }
    }
}

/// Letters by queue and state, the record's size, and what this process has counted.
pub async fn metrics(State(pages): State<Pages>) -> Result<Response, Fault> {
    let mut text = String::from("# HELP pairpost_letters Letters by queue and state.\n# TYPE pairpost_letters gauge\n");
    for (queue, state, count) in counts(&pages).await? {
        writeln!(text, "pairpost_letters{{queue=\"{queue}\",state=\"{state}\"}} {count}").map_err(anyhow::Error::from)?;
    }
    text.push_str(&telemetry::render());
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

async fn counts(pages: &Pages) -> anyhow::Result<Vec<(String, String, i64)>> {
    exchanges::counts(&mut *pages.store.connection().await?).await
}
