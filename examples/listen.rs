use pairpost::{config::Config, domain::secret::Secret, smtp, store::Store};
use std::sync::Arc;
use tokio::sync::Notify;
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let config = Config::load(None, std::env::vars())?;
    let store = Store::connect(std::env::var("DATABASE_URL")?.parse()?, 10).await?;
    let arrived = Arc::new(Notify::new());
    let door = smtp::Door::new(&config, store.clone(), Secret::from_bytes([1; 32]), Arc::new(chrono::Utc::now), arrived.clone())?;
    let listeners = smtp::bind(&config).await?;
    eprintln!("ready");
    let dir = std::path::PathBuf::from(std::env::var("MAILDIR")?);
    for sub in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(dir.join(sub))?;
    }
    tokio::spawn(async move {
        loop {
            arrived.notified().await;
            loop {
                let mut tx = store.begin().await.unwrap();
                let rows = pairpost::store::inbox::claim(&mut tx, 1, 20, chrono::Utc::now()).await.unwrap();
                for row in &rows {
                    std::fs::write(dir.join("tmp").join(row.id.to_string()), &row.raw).unwrap();
                    std::fs::rename(dir.join("tmp").join(row.id.to_string()), dir.join("new").join(row.id.to_string())).unwrap();
                    pairpost::store::inbox::finish(&mut tx, row.id, "handled", chrono::Utc::now()).await.unwrap();
                }
                tx.commit().await.unwrap();
                if rows.is_empty() {
                    break;
                }
            }
        }
    });
    let stop = tokio_util::sync::CancellationToken::new();
    smtp::serve(door, listeners, stop).await;
    Ok(())
}
