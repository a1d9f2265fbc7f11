//! TLS to the next hop, and passwords.
use super::Post;
use crate::{
    database::TestDatabase,
    next_hop::{Mood, NextHop, Step},
    program::{Letter, Program, until},
};

#[tokio::test]
async fn encryption_is_used_where_it_is_offered_and_any_certificate_will_do_without_a_password() {
    let hop = NextHop::with_tls().await;
    let post = Post::to(&hop).await;
    post.write("ana@example.org", "one").await;
    post.work().await;
    assert!(hop.taken()[0].encrypted);
    // Announced, and then not to be had today.
    let hop = NextHop::with_tls().await;
    hop.mood(Step::StartTls, Mood::Say("454 4.7.0 not now"));
    let post = Post::to(&hop).await;
    post.write("ana@example.org", "one").await;
    post.work().await;
    assert!(!hop.taken()[0].encrypted);
}

#[tokio::test]
async fn a_password_goes_only_to_a_hop_whose_certificate_is_good() {
    let hop = NextHop::with_tls().await;
    let url = hop.url().replace("smtp://", "smtp://ana%40x:secret@");
    let post = Post::new(&[("PAIRPOST_DELIVERY__SMARTHOST", &url)]).await;
    post.write("ana@example.org", "one").await;
    post.work().await;
    assert_eq!(hop.taken().len(), 0);
    assert!(!hop.commands().iter().any(|command| command.starts_with("AUTH")), "{:?}", hop.commands());
    assert!(post.record().await.starts_with("queued / under way / the next hop can't be spoken to: "), "{}", post.record().await);
    // On this machine nobody reads along.
    let hop = NextHop::start().await;
    hop.announce(&["AUTH PLAIN LOGIN"]);
    let url = hop.url().replace("smtp://", "smtp://ana%40x:secret@");
    let post = Post::new(&[("PAIRPOST_DELIVERY__SMARTHOST", &url)]).await;
    post.write("ana@example.org", "one").await;
    post.work().await;
    assert_eq!(hop.taken().len(), 1);
    assert!(hop.commands().contains(&"AUTH PLAIN AGFuYUB4AHNlY3JldA==".to_owned()), "{:?}", hop.commands());
}

#[tokio::test]
async fn a_wrong_password_is_our_fault_and_no_letters() {
    let hop = NextHop::start().await;
    hop.announce(&["AUTH PLAIN"]);
    hop.mood(Step::Auth, Mood::Say("535 5.7.8 wrong"));
    let url = hop.url().replace("smtp://", "smtp://ana:wrong@");
    let post = Post::new(&[("PAIRPOST_DELIVERY__SMARTHOST", &url)]).await;
    post.write("ana@example.org", "one").await;
    post.work().await;
    assert_eq!(post.record().await, "queued / under way / the next hop does not serve us: 535 5.7.8 wrong");
}

#[tokio::test]
async fn plain_text_is_no_way_out_of_a_moment_of_weakness() {
    // The greeting was late, which says nothing about TLS: the next connection is encrypted again.
    let hop = NextHop::with_tls().await;
    let mut post = Post::hasty(&hop).await;
    hop.mood_once(Step::Greeting, Mood::Stall);
    post.write("ana@example.org", "one").await;
    post.work().await;
    post.now += chrono::TimeDelta::minutes(1);
    post.work().await;
    assert!(hop.taken()[0].encrypted);
    // With a password there is no plain text at all.
    for (step, mood) in [(Step::StartTls, Mood::Close), (Step::Handshake, Mood::Close), (Step::Handshake, Mood::Raw(b"220 again\r\n"))] {
        let hop = NextHop::with_tls().await;
        let post = Post::new(&[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url().replace("smtp://", "smtp://ana:secret@"))]).await;
        hop.mood(step, mood);
        post.write("ana@example.org", "one").await;
        post.work().await;
        assert_eq!((hop.taken().len(), hop.connections()), (0, 1), "{mood:?} at {step:?}");
        assert!(!hop.commands().iter().any(|command| command.starts_with("AUTH") || command.starts_with("MAIL")), "{:?}", hop.commands());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn smtps_speaks_tls_from_the_start_and_only_with_whom_the_certificate_names() {
    let (hop, data) = (NextHop::in_tls().await, tempfile::tempdir().expect("a folder"));
    let roots = data.path().join("roots.pem");
    std::fs::write(&roots, hop.certificate.as_deref().expect("it has one")).expect("written");
    for (believed, roots) in [(false, "/dev/null"), (true, roots.to_str().expect("a name"))] {
        let database = TestDatabase::new();
        let program = Program::serve(
            Some(&database.url()),
            data.path(),
            &[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url()), ("SSL_CERT_FILE", roots), ("SSL_CERT_DIR", "/nowhere")],
        );
        assert!(program.send(&Letter::joins("ana@example.org")).await.starts_with("250"));
        if believed {
            hop.takes("ana@example.org").await;
            assert!(hop.taken()[0].encrypted);
        } else {
            let store = database.store().await;
            until("it is refused", async || {
                let reply: Option<String> = sqlx::query_scalar("select max(reply) from exchange where direction = 'out'")
                    .fetch_one(&mut *store.connection().await.unwrap())
                    .await
                    .unwrap();
                reply.is_some_and(|reply| reply.starts_with("the next hop can't be spoken to: ") && reply.contains("certificate"))
            })
            .await;
            assert_eq!(hop.count(), 0);
        }
        program.stop().await;
    }
}
