//! Whether we are ready for mail, and the figures that an operator's graphs are made of (Prometheus' text format).
use std::fmt::Write as _;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{Fault, Pages};
use crate::{
    store::{
        breaker::{self, Breaker},
        exchanges, failures, orders,
    },
    telemetry,
};

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

/// Letters that wait or failed, by queue and state, and what this process has counted.
pub async fn metrics(State(pages): State<Pages>) -> Result<Response, Fault> {
    let mut text = String::from("# HELP pairpost_letters Letters that wait or failed, by queue and state.\n# TYPE pairpost_letters gauge\n");
    for (queue, state, count) in counts(&pages).await? {
        writeln!(text, "pairpost_letters{{queue=\"{queue}\",state=\"{state}\"}} {count}").map_err(anyhow::Error::from)?;
    }
    text.push_str(&alarming(&pages).await?);
    text.push_str(&telemetry::render());
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

/// What should wake somebody when it is not zero: present also while it is.
async fn alarming(pages: &Pages) -> anyhow::Result<String> {
    let mut conn = pages.store.connection().await?;
    let (failed, set_aside) = (failures::count(&mut conn).await?, failures::count_set_aside(&mut conn).await?);
    let stopped = u8::from(orders::is_all_held(&mut conn).await?);
    let mut text = format!(
        "# HELP pairpost_inbox_failed Letters that came in, could not be handled, and are not tried again by themselves.\n# TYPE pairpost_inbox_failed gauge\n\
         pairpost_inbox_failed {failed}\n\
         # HELP pairpost_outbox_set_aside Letters out over whose sending the process ended too often.\n# TYPE pairpost_outbox_set_aside gauge\n\
         pairpost_outbox_set_aside {set_aside}\n\
         # HELP pairpost_held_all Everything that leaves is held.\n# TYPE pairpost_held_all gauge\npairpost_held_all {stopped}\n"
    );
    let breakers = breaker::list(&mut conn, (pages.clock)()).await?;
    type Figure = fn(&Breaker) -> i64;
    let figures: [(&str, &str, Figure); 4] = [
        ("tripped", "The breaker holds this stream of letters.", |breaker| i64::from(breaker.tripped_at.is_some())),
        ("held", "Letters that the breaker holds.", |breaker| breaker.held),
        ("passed", "Letters of the stream that left within a day.", |breaker| breaker.passed),
        ("ceiling", "Letters of the stream that may leave within a day, as last computed.", |breaker| i64::from(breaker.ceiling)),
    ];
    for (name, help, figure) in figures {
        write!(text, "# HELP pairpost_breaker_{name} {help}\n# TYPE pairpost_breaker_{name} gauge\n")?;
        for breaker in &breakers {
            writeln!(text, "pairpost_breaker_{name}{{stream=\"{}\"}} {}", breaker.stream.name(), figure(breaker))?;
        }
    }
    Ok(text)
}

async fn counts(pages: &Pages) -> anyhow::Result<Vec<(String, String, i64)>> {
    exchanges::counts(&mut *pages.store.connection().await?).await
}
