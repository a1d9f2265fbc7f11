//! Postgres away in every way it can be: clients are told to come again, nothing is lost, and work goes on by itself soon after its return.
use std::{path::Path, time::Duration};

use pairpost::store::Store;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::{
    database::TestDatabase,
    next_hop::NextHop,
    program::{Letter, PATIENCE, Program, until},
    stopwatch::Stopwatch,
};

use super::{got, proxy::Proxy};

/// Work goes on within this time after the return of the database.
pub const BOUND: Duration = Duration::from_secs(10);

/// Statements that make every new letter, or every letter of ours, meet a full disk.
fn full(table: &str) -> String {
    format!(
        "create function no_room() returns trigger language plpgsql as $$ begin raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$;
         create trigger no_room before insert on {table} execute function no_room()"
    )
}

/// A program that serves before a database in trouble.
struct Scene {
    name: &'static str,
    database: TestDatabase,
    proxy: Proxy,
    hop: NextHop,
    program: Program,
    _data: tempfile::TempDir,
}

impl Scene {
    async fn new(name: &'static str) -> Self {
        let (database, hop, data) = (TestDatabase::new(), NextHop::start().await, tempfile::tempdir().expect("a folder"));
        let proxy = Proxy::before(&database).await;
        let program = Program::serve(Some(&proxy.url()), data.path(), &[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url())]);
        Self { name, database, proxy, hop, program, _data: data }
    }

    /// In trouble: the reply to a letter, why it is not ready, and that it lives.
    async fn refuses(&self, reply: &str, why: &str) {
        let name = self.name;
        let said = self.program.send(&Letter::joins("early@example.org")).await;
        assert!(said.starts_with(reply), "{name}: {said}");
        let (status, body) = self.program.get("/readyz").await;
        assert_eq!((status, body.trim()), (503, why), "{name}");
        assert_eq!(self.program.get("/healthz").await.0, 200, "{name}");
    }

    /// From now on all is well with the database: letters are taken, and those that wait are answered, each once.
    async fn goes_on(&self, waiting: &[&str]) -> Duration {
        let began = Stopwatch::start();
        until("a letter is taken", async || self.program.send(&Letter::joins("late@example.org")).await.starts_with("250")).await;
        let taken = began.elapsed();
        let due = waiting.len() + 1;
        until("all are answered", async || got(&self.hop).len() >= due).await;
        let answered = began.elapsed();
        until("all is marked", async || self.database.ask("select count(*) from outbox where state <> 'sent'").await == 0).await;
        println!("{}: after the database's return a letter is taken in {taken:.1?} and answered in {answered:.1?}", self.name);
        let got = got(&self.hop);
        assert!(got.len() == due && got.values().all(|letters| *letters == 1), "{}: {got:?}", self.name);
        assert!(waiting.iter().all(|who| got.contains_key(*who)), "{}: {got:?}", self.name);
        assert!(answered < BOUND, "{}: {answered:?}", self.name);
        answered
    }
}

async fn cut_off() {
    let scene = Scene::new("no connections, the old ones cut").await;
    scene.database.cut_off(true).await;
    scene.refuses("451 4.3.0", "the database does not answer").await;
    scene.database.cut_off(false).await;
    scene.goes_on(&[]).await;
    scene.program.stop().await;
}

async fn turned_away(name: &'static str, code: &'static str, words: &'static str) {
    let scene = Scene::new(name).await;
    scene.proxy.refuse(Some((code, words)));
    scene.refuses("451 4.3.0", "the database does not answer").await;
    scene.proxy.refuse(None);
    scene.goes_on(&[]).await;
}

async fn read_only() {
    let scene = Scene::new("read-only").await;
    set_read_only(&scene.database, true).await;
    // The setting is for new sessions, as after a fail-over that went wrong.
    scene.database.cut_off(true).await;
    scene.database.cut_off(false).await;
    until("it is read-only for the program too", async || scene.program.get("/readyz").await.1.trim() == "the database is read-only").await;
    scene.refuses("451 4.3.0", "the database is read-only").await;
    set_read_only(&scene.database, false).await;
    scene.goes_on(&[]).await;
}

async fn set_read_only(database: &TestDatabase, read_only: bool) {
    let name = database.options().get_database().expect("it has a name").to_owned();
    let mut admin = PgConnection::connect_with(&database.options().database("postgres")).await.expect("the server is there");
    let statement = format!("alter database {name} set default_transaction_read_only = {read_only}");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut admin).await.expect("the server obeys");
}

/// No room for new letters; and then none for letters of ours, which must not count against those that caused them.
async fn full_disk() {
    let scene = Scene::new("full disk").await;
    scene.database.tell(&full("letter")).await;
    scene.refuses("452 4.3.1", "the database has no room left on its disk").await;
    scene.database.tell(&format!("drop function no_room cascade; {}", full("outbox"))).await;
    assert!(scene.program.send(&Letter::joins("waits@example.org")).await.starts_with("250"));
    until("its handling fails", async || scene.database.ask("select count(*) from inbox where last_error like '%No space%'").await == 1).await;
    scene.database.tell("drop function no_room cascade").await;
    scene.goes_on(&["waits@example.org"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_wrong_with_the_database_clients_come_again_and_work_goes_on_by_itself() {
    tokio::join!(
        cut_off(),
        turned_away("too many connections", "53300", "sorry, too many clients already"),
        turned_away("starting up", "57P03", "the database system is starting up"),
        read_only(),
        full_disk(),
    );
}

/// A folder that the account that runs Postgres for root can reach.
pub fn place() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let place = tempfile::Builder::new().prefix("faults-").tempdir_in("/tmp").expect("a folder");
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o711)).expect("ours to change");
    place
}

/// The process of the private server in `data`.
pub fn server(data: &Path) -> Option<rustix::process::Pid> {
    let note = std::fs::read_to_string(data.join("cluster/postmaster.pid")).ok()?;
    rustix::process::Pid::from_raw(note.lines().next()?.trim().parse().ok()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_server_that_died_is_started_again_and_work_goes_on() {
    let (hop, place) = (NextHop::start().await, place());
    let data = place.path().join("data");
    let program = Program::serve(None, &data, &[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url())]);
    for (who, signal) in [("killed@example.org", rustix::process::Signal::KILL), ("stopped@example.org", rustix::process::Signal::INT)] {
        let before = server(&data).expect("it runs");
        rustix::process::kill_process(before, signal).expect("it runs");
        let began = Stopwatch::start();
        let mut told = 0;
        until("a letter is taken", async || {
            let reply = program.send(&Letter::joins(who)).await;
            told += usize::from(reply.starts_with("451 4.3.0"));
            assert!(reply.starts_with("250") || reply.starts_with("451 4.3.0"), "{reply}");
            reply.starts_with("250")
        })
        .await;
        until("it is answered", async || got(&hop).contains_key(who)).await;
        let took = began.elapsed();
        println!("the private server got {signal:?}: {told} times told to come again, taken and answered after {took:.1?}");
        assert_ne!(server(&data), Some(before), "another server runs");
        assert!(took < BOUND, "{took:?}");
    }
    assert!(got(&hop).values().all(|letters| *letters == 1), "{:?}", got(&hop));
    assert_eq!(program.said().matches("the private PostgreSQL died and is started again").count(), 2, "each said once");
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_the_network_lost_keep_no_place_in_the_pool_nor_the_program_from_ending() {
    const PLACES: usize = 3;
    let database = TestDatabase::new();
    let proxy = Proxy::before(&database).await;
    let store = Store::connect(proxy.url().parse().expect("a URL"), PLACES as u32).await.expect("a store");
    let all = async || {
        let mut held = Vec::new();
        for _ in 0..PLACES {
            let mut conn = store.connection().await?;
            sqlx::query("select 1").execute(&mut *conn).await?;
            held.push(conn);
        }
        anyhow::Ok(held)
    };
    all().await.expect("all are sound").into_iter().for_each(pairpost::store::Held::put_back);
    proxy.lose();
    let mut conn = store.connection().await.expect("one that went well a moment ago");
    let asked = sqlx::query("select 1").execute(&mut *conn);
    assert!(tokio::time::timeout(Duration::from_millis(100), asked).await.is_err(), "nothing comes back");
    // The others are suspect by now, and nobody else has noticed anything.
    drop(conn);
    let took = until("all places are free", async || all().await.is_ok()).await;
    println!("{PLACES} connections lost: all places free after {took:.1?}");
    let held = all().await.expect("all are sound");
    proxy.lose();
    let began = Stopwatch::start();
    tokio::time::timeout(PATIENCE, store.close()).await.expect("it ends beside connections that never come back");
    println!("closed after {:.1?}", began.elapsed());
    drop(held);
}
