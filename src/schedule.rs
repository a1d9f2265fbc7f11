//! temporary
use crate::{handlers::Site,store::Store};
pub async fn step(_s:&Store,_t:&Site,_n:chrono::DateTime<chrono::Utc>)->anyhow::Result<usize>{Ok(0)}
pub async fn send_on(_s:&Store,_t:&Site,_n:chrono::DateTime<chrono::Utc>)->anyhow::Result<Option<usize>>{Ok(None)}
