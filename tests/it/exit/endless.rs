//! Whatever the next hop says, and however long: it costs little memory and little time.
use std::time::Duration;

use super::Post;
use crate::{
    next_hop::{Mood, NextHop, Step},
    stopwatch::Stopwatch,
};

/// What the two systems' buffers hold on the way, and no more.
const OCTETS: usize = 16 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_without_end_is_cut_off_at_once_whatever_it_is_made_of() {
    let (mut most, mut longest) = (0, Duration::ZERO);
    for step in [Step::Greeting, Step::Hello, Step::Auth, Step::Mail, Step::Dot] {
        for endless in [&b"2"[..], b"250 and so on ", b"250-and so on\r\n", b"250-\r\n", b"334-\r\n", b"334 \r", b"\0"] {
            let hop = NextHop::start().await;
            hop.announce(&["AUTH PLAIN LOGIN", "PIPELINING"]);
            let url = hop.url().replace("smtp://", "smtp://ana:secret@");
            let post = Post::new(&[("PAIRPOST_DELIVERY__SMARTHOST", &url)]).await;
            hop.mood(step, Mood::Endless(endless));
            post.write("ana@example.org", "one").await;
            let began = Stopwatch::start();
            post.work().await;
            (most, longest) = (most.max(hop.poured()), longest.max(began.elapsed()));
            assert!(post.record().await.starts_with("queued / under way / the next hop"), "{step:?} {endless:?}: {}", post.record().await);
            assert!(
                hop.poured() < OCTETS && began.elapsed() < Duration::from_secs(20),
                "{step:?} {endless:?}: {} octets in {:?}",
                hop.poured(),
                began.elapsed()
            );
        }
    }
    println!("replies without end: cut off after {longest:.1?} at the latest, when the hop had got rid of {} KiB at most; a step may take 120 s", most >> 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_letter_is_not_poured_into_a_hop_that_reads_nothing_or_has_said_no() {
    for (mood, wanted) in [
        (Mood::Stall, "queued / under way / the next hop did not answer in time"),
        (Mood::More(b"552 5.3.4 too large\r\n"), "failed / failed / 552 5.3.4 too large"),
    ] {
        let hop = NextHop::start().await;
        let post = if mood == Mood::Stall { Post::hasty(&hop).await } else { Post::to(&hop).await };
        hop.mood(Step::Data, mood);
        post.write("ana@example.org", "one").await;
        let large = "update outbox set raw = raw || convert_to(repeat(repeat('x', 70) || E'\\r\\n', 100000), 'UTF8')";
        sqlx::query(large).execute(&mut *post.conn().await).await.expect("written");
        let began = Stopwatch::start();
        post.work().await;
        assert_eq!(post.record().await, wanted, "{mood:?}");
        println!("a letter of 7 MB, {mood:?} at DATA: done after {:.1?}", began.elapsed());
    }
}
