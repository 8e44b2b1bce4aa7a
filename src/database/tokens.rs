//! The table `tokens`: API keys, of which only hashes are kept.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use sqlx::{Row as _, postgres::PgRow};

use super::{Database, Error, Filter, Result};
use crate::catalog::Role;

/// Who a token speaks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    pub name: String,
    pub role: Role,
    /// What it sees is narrowed by this; without one it sees everything.
    pub filter: Option<Filter>,
}

impl Database {
    /// Makes a token and returns its secret, which cannot be had again. With a filter it sees only what that lets
    /// through.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn create_token(&self, name: &str, role: Role, filter: Option<&Filter>) -> Result<String> {
        let secret = format!("polder_{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
        sqlx::query("insert into tokens (name, role, hash, filter) values ($1, $2, $3, $4)")
            .bind(name)
            .bind(role.as_str())
            .bind(hash(&secret))
            .bind(filter.map(|filter| filter.to_json().to_string()))
            .execute(&self.pool)
            .await
            .map_err(Error::query("make a token"))?;
        Ok(secret)
    }

    /// Lists the tokens that are valid, by name.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::StoredFilter`].
    pub async fn list_tokens(&self) -> Result<Vec<Token>> {
        let rows = sqlx::query("select name, role, filter from tokens where revoked_at is null order by name, id")
            .fetch_all(&self.pool)
            .await
            .map_err(Error::query("list the tokens"))?;
        rows.iter().map(token).collect()
    }

    /// Makes sure that a secret that is known already is a token. One that is there stays as it is, also when it was
    /// revoked.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn ensure_token(&self, name: &str, role: Role, secret: &str) -> Result<()> {
        sqlx::query(
            "insert into tokens (name, role, hash) values ($1, $2, $3) on conflict on constraint tokens_hash_unique do nothing",
        )
        .bind(name)
        .bind(role.as_str())
        .bind(hash(secret))
        .execute(&self.pool)
        .await
        .map_err(Error::query("make a token"))?;
        Ok(())
    }

    /// Returns whom a secret speaks for; nothing when it is unknown or revoked.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn find_token(&self, secret: &str) -> Result<Option<Token>> {
        let row = sqlx::query("select name, role, filter from tokens where hash = $1 and revoked_at is null")
            .bind(hash(secret))
            .fetch_optional(&self.pool)
            .await
            .map_err(Error::query("check a token"))?;
        row.as_ref().map(token).transpose()
    }

    /// Revokes all tokens of this name and returns how many there were.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn revoke_tokens(&self, name: &str) -> Result<u64> {
        let done = sqlx::query("update tokens set revoked_at = now() where name = $1 and revoked_at is null")
            .bind(name)
            .execute(&self.pool)
            .await
            .map_err(Error::query("revoke tokens"))?;
        Ok(done.rows_affected())
    }
}

/// A filter that cannot be read must never mean that there is none.
fn token(row: &PgRow) -> Result<Token> {
    let filter = row.get::<Option<&str>, _>("filter").map(serde_json::from_str).transpose()?;
    let filter = filter.as_ref().map(Filter::parse_json).transpose()?;
    Ok(Token { name: row.get("name"), role: row.get::<&str, _>("role").parse()?, filter })
}

fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::testing::with_database;

    #[tokio::test]
    async fn a_token_speaks_for_its_role_until_it_is_revoked() {
        with_database(|database| async move {
            let secret = database.create_token("ci", Role::Pipeline, None).await.unwrap();
            let found = database.find_token(&secret).await.unwrap();
            assert_eq!(found, Some(Token { name: "ci".into(), role: Role::Pipeline, filter: None }));
            assert_eq!(database.find_token("polder_guess").await.unwrap(), None);
            assert_eq!(database.revoke_tokens("ci").await.unwrap(), 1);
            assert_eq!(database.find_token(&secret).await.unwrap(), None);
            database.ensure_token("ci", Role::Admin, &secret).await.unwrap();
            assert_eq!(database.find_token(&secret).await.unwrap(), None, "a revoked token must stay revoked");
        })
        .await;
    }

    #[tokio::test]
    async fn the_secret_is_not_in_the_database() {
        with_database(|database| async move {
            let secret = database.create_token("ci", Role::Viewer, None).await.unwrap();
            let row: String =
                sqlx::query_scalar("select tokens::text from tokens").fetch_one(&database.pool).await.unwrap();
            assert!(!row.contains(&secret) && !row.contains(&hex::encode(&secret)));
        })
        .await;
    }
}
