//! The few pages: leaving the topics by one click, the mailboxes of captured mail, health and figures.
use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, Result};
use axum::{
    Router,
    body::HttpBody as _,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, Http},
    handlers::{Clock, Site},
    store::{Store, health::PATIENCE},
};

mod connections;
mod figures;
mod held;
mod leave;
mod letter;
mod mailboxes;

/// Octets of a request's body: forms, of which few have more than a button.
const BODY: usize = 64 << 10;

/// What every page works with.
#[derive(Clone)]
pub struct Pages {
    /// The database.
    pub store: Store,
    /// The programme.
    pub site: Arc<Site>,
    /// The time.
    pub clock: Clock,
    /// Where captured mail lies, while it is captured: only then are there mailboxes to look at.
    pub capture: Option<PathBuf>,
    /// Letters are held until they were read, and can be read here.
    pub review: bool,
}

/// Binds `http.listen`; port 0 takes a free one.
pub async fn bind(config: &Config) -> Result<TcpListener> {
    TcpListener::bind(config.http.listen).await.with_context(|| format!("cannot show pages at {} (http.listen)", config.http.listen))
}

/// Shows pages until `stop`.
pub async fn serve(listener: TcpListener, pages: Pages, limits: Http, stop: CancellationToken) {
    let loopback = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    // Other people's letters: on this machine alone, and only while no letter leaves it.
    let pages = Pages { capture: pages.capture.filter(|_| loopback), review: pages.review && loopback, ..pages };
    connections::serve(listener, router(pages), &limits, stop).await;
}

fn router(pages: Pages) -> Router {
    let mut router = Router::new()
        .route("/", get(home))
        .route("/leave/{id}", get(leave::show).post(leave::leave))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(figures::ready))
        .route("/metrics", get(figures::metrics));
    if pages.review {
        router = router.merge(
            Router::new()
                .route("/held", get(held::list))
                .route("/held/{id}", get(held::show))
                .route("/held/{id}/html", get(held::html))
                .route_layer(middleware::from_fn(asked_for_here)),
        );
    }
    if pages.capture.is_some() {
        router = router.merge(
            Router::new()
                .route("/mailboxes", get(mailboxes::list))
                .route("/mailboxes/{mailbox}", get(mailboxes::mailbox))
                .route("/mailboxes/{mailbox}/{letter}", get(mailboxes::letter))
                .route("/mailboxes/{mailbox}/{letter}/html", get(mailboxes::html))
                .route_layer(middleware::from_fn(asked_for_here)),
        );
    }
    router
        .fallback(|| async { (StatusCode::NOT_FOUND, "There is no such page.\n") })
        .layer(middleware::from_fn(in_time))
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn(of_a_form))
        .with_state(pages)
}

/// Refuses at once what is larger than any form of ours; where a client does not say how much it sends, whoever reads it stops there.
async fn of_a_form(request: Request, next: Next) -> Response {
    match request.body().size_hint().lower() > BODY as u64 {
        true => (StatusCode::PAYLOAD_TOO_LARGE, [(header::CONNECTION, "close")], "That is more than any page here takes.\n").into_response(),
        false => next.run(request).await,
    }
}

/// Nobody waits for a page longer than for a database that is there.
async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Fault(anyhow::anyhow!("it took too long")).into_response(),
    }
}

/// Lets only those pass who name this machine. A page from elsewhere can make its own name point here (DNS rebinding) and would then read what we show.
async fn asked_for_here(request: Request, next: Next) -> Response {
    match request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).is_some_and(is_this_machine) {
        true => next.run(request).await,
        false => (StatusCode::MISDIRECTED_REQUEST, "Mailboxes are shown on this machine alone, at localhost or its address.\n").into_response(),
    }
}

/// `localhost`, a name below it (RFC 6761 6.3), or an address of the loopback, with or without a port.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[derive(serde::Serialize)]
struct Home {
    mailboxes: bool,
}

async fn home(State(pages): State<Pages>) -> Result<Response, Fault> {
    page(&pages, "home", &Home { mailboxes: pages.capture.is_some() })
}

/// A page of ours: no scripts, nothing from elsewhere, in nobody's frame.
fn page<P: serde::Serialize>(pages: &Pages, name: &str, content: &P) -> Result<Response, Fault> {
    let html = pages.site.templates.page(name, content)?;
    let mut headers = HeaderMap::new();
    let policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-robots-tag"), "noindex"),
    ] {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
    Ok((headers, Html(html)).into_response())
}

/// A page that could not be made: logged, and said in words.
struct Fault(anyhow::Error);

impl From<anyhow::Error> for Fault {
    fn from(error: anyhow::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        tracing::error!(error = format!("{:#}", self.0), "a page could not be shown");
        (StatusCode::SERVICE_UNAVAILABLE, "Something went wrong on our side. Please try again in a minute.\n").into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes_are_shown_to_this_machine_alone() {
        for here in ["localhost", "LocalHost:8080", "127.0.0.1:8080", "127.0.0.2", "[::1]:8080", "pairpost.localhost:8080"] {
            assert!(is_this_machine(here), "{here}");
        }
        for elsewhere in ["evil.example:8080", "192.0.2.1", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "notlocalhost", "[2001:db8::1]:80"] {
            assert!(!is_this_machine(elsewhere), "{elsewhere}");
        }
    }
}
