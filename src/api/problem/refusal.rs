//! The refusals that a route can answer with, for the OpenAPI document. A route lists them beside its answers:
//!
//! ```text
//! responses(
//!     (status = 200, description = "The collection", body = Collection),
//!     refusal::WrongParameter, refusal::NoCollection,
//! )
//! ```

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses, ToSchema,
    openapi::{Content, Ref, RefOr, Response},
};

use super::{MEDIA_TYPE, ProblemBody};

/// Makes a type of each refusal. Of one status there are several, because the description says what was wrong.
macro_rules! refusals {
    ($($name:ident: $($status:literal $description:literal),+;)+) => {$(
        $(#[doc = concat!($status, ": ", $description, ".")])+
        pub(in crate::api) enum $name {}

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                BTreeMap::from([$(($status.to_string(), answer($description))),+])
            }
        }
    )+};
}

refusals! {
    // What was sent cannot be used.
    WrongParameter: 400 "A parameter is wrong";
    WrongBody: 400 "The body is wrong";
    WrongCollection: 400 "The collection is refused, with each of its faults";
    WrongItem: 400 "The item is refused, with each of its faults";
    WrongItems: 400 "Items are refused, with each of their faults";
    WrongPatch: 400 "The patch does not fit, or what it makes is refused", 409 "A test in the patch fails";
    NotJson: 413 "The body is too large", 415 "The body is not JSON";
    NotPatch: 413 "The body is too large", 415 "The body is no patch";

    // Whoever sent it may not do this.
    NotAllowed: 401 "This needs a token", 403 "The token's role is not enough";

    // What is there does not go with it.
    NoCollection: 404 "There is no such collection";
    NoSpan: 404 "There is no such collection or span";
    NoItem: 404 "There is no such item";
    NoRun: 404 "There is no such detection run";
    NoDetection: 404 "There is no such detection";
    NoComparison: 404 "These two runs were not compared";
    AlreadyThere: 409 "There is one of this name already";
    OneAlreadyThere: 409 "One of them is there already";
    PolderWrites: 409 "Polder writes into this collection";
    Changed: 412 "It has changed meanwhile";
}

fn answer(description: &str) -> RefOr<Response> {
    let schema = Ref::from_schema_name(ProblemBody::name());
    Response::builder().description(description).content(MEDIA_TYPE, Content::new(Some(schema))).build().into()
}
