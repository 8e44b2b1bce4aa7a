//! A real PostGIS for tests, with a database of its own for each.
//!
//! `DATABASE_URL` names a server on which tests may make databases. Without it they say so and are skipped. Making
//! PostGIS in each database costs a second; so a template is migrated once and copied.

use std::{
    env,
    future::Future,
    sync::atomic::{AtomicU32, Ordering},
};

use sqlx::{Connection as _, Executor as _, PgConnection, postgres::PgConnectOptions};

use super::{Database, MIGRATIONS};

static TESTS: AtomicU32 = AtomicU32::new(0);

/// Any number; it keeps two test processes from making the template at once.
const TEMPLATE_LOCK: i64 = 7_340_911;

/// Runs a test on a database of its own, migrated and empty but for the four collections. The database is dropped when the
/// test passes and kept when it fails.
pub(crate) async fn with_database<F: Future<Output = ()>>(test: impl FnOnce(Database) -> F) {
    let Ok(url) = env::var("DATABASE_URL") else {
        eprintln!("SKIPPED: this test needs PostGIS; set DATABASE_URL to a server on which it may make databases");
        return;
    };
    let server: PgConnectOptions = url.parse().expect("DATABASE_URL is a PostgreSQL URL");
    let mut admin = PgConnection::connect_with(&server).await.expect("the server of DATABASE_URL answers");
    let template = make_template(&mut admin, &server).await;
    let name = format!("polder_test_{}_{}", std::process::id(), TESTS.fetch_add(1, Ordering::Relaxed));
    run(&mut admin, format!("drop database if exists {name} with (force)")).await;
    run(&mut admin, format!("create database {name} template {template}")).await;
    let database = open(&server, &name).await;
    test(database.clone()).await;
    database.close().await;
    run(&mut admin, format!("drop database {name} with (force)")).await;
}

/// Makes the template unless it is there. Its name holds the checksums of the migrations: a changed one makes another.
async fn make_template(admin: &mut PgConnection, server: &PgConnectOptions) -> String {
    let checksums: Vec<u8> = MIGRATIONS.iter().flat_map(|migration| migration.checksum.to_vec()).collect();
    let words = format!(
        "{:?}",
        crate::catalog::Layer::ALL.map(|layer| crate::catalog::collection(layer, &crate::catalog::Coverage::default()))
    );
    let hash = <sha2::Sha256 as sha2::Digest>::digest([&checksums, words.as_bytes()].concat());
    let template = format!("polder_template_{}", hex::encode(&hash[..6]));
    sqlx::query("select pg_advisory_lock($1)").bind(TEMPLATE_LOCK).execute(&mut *admin).await.expect("a lock");
    let there: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(&template)
        .fetch_one(&mut *admin)
        .await
        .expect("an answer");
    if !there {
        // Under another name until it is whole, so that a killed test run leaves no half template.
        let half = format!("{template}_half");
        run(admin, format!("drop database if exists {half} with (force)")).await;
        run(admin, format!("create database {half}")).await;
        let database = open(server, &half).await;
        database.migrate().await.expect("the migrations run");
        database.close().await;
        run(admin, format!("alter database {half} rename to {template}")).await;
    }
    sqlx::query("select pg_advisory_unlock($1)").bind(TEMPLATE_LOCK).execute(&mut *admin).await.expect("a lock");
    template
}

async fn open(server: &PgConnectOptions, name: &str) -> Database {
    let options = server.clone().database(name).options(super::SESSION);
    let pools = sqlx::postgres::PgPoolOptions::new().max_connections(4);
    Database::open(options, pools).await.expect("a connection")
}

async fn run(admin: &mut PgConnection, statement: String) {
    // Names made above, of digits and hexadecimal: nothing comes from outside.
    admin.execute(sqlx::AssertSqlSafe(statement)).await.expect("the statement runs");
}

/// Gives a verdict on findings, those whose number ends with one of these digits.
pub(crate) async fn review(database: &Database, verdict: &str, digits: std::ops::RangeInclusive<i32>) {
    sqlx::query("update detections set review = $1 where number % 10 between $2 and $3")
        .bind(verdict)
        .bind(digits.start())
        .bind(digits.end())
        .execute(&database.pool)
        .await
        .expect("the statement runs");
}
