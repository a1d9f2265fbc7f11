//! A database of its own on a server that is there already, for a demonstration; dropped at its end.
use anyhow::{Context as _, Result};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use super::ConnectOptions;

/// A database that nobody else uses.
#[derive(Debug)]
pub struct Scratch {
    server: ConnectOptions,
    name: String,
}

impl Scratch {
    /// Makes one on the server that `url` leads to, whose own database is only used to say so.
    ///
    /// # Errors
    /// The URL leads nowhere, or its user may not make databases.
    pub async fn create(url: &str) -> Result<Self> {
        let server: ConnectOptions = url.parse().context("database.url is not a Postgres URL")?;
        let scratch = Self { server, name: format!("pairpost_demo_{}", Uuid::now_v7().simple()) };
        let reached = PgConnection::connect_with(&scratch.server).await.context("cannot reach the server that DATABASE_URL or database.url names")?;
        reached.close().await?;
        let made = scratch.administer(format!("create database {}", scratch.name)).await;
        made.context("cannot make a database beside the one that DATABASE_URL or database.url names: its user needs CREATEDB")?;
        Ok(scratch)
    }

    /// How to connect to it.
    pub fn options(&self) -> ConnectOptions {
        self.server.clone().database(&self.name)
    }

    /// How it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Drops it, whoever is still connected.
    pub async fn remove(self) -> Result<()> {
        let dropped = self.administer(format!("drop database {} with (force)", self.name)).await;
        dropped.with_context(|| format!("the database {} could not be dropped", self.name))
    }

    async fn administer(&self, statement: String) -> sqlx::Result<()> {
        let mut connection = PgConnection::connect_with(&self.server).await?;
        // The name is made of letters and digits by ourselves.
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
        connection.close().await
    }
}
