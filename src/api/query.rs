//! Query parameters: read once, none ignored.

use super::{Hrefs, problem::Problem};

/// The parameters of a request, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query of a URL and refuses every parameter that is not `known`: a misspelt one would otherwise give
    /// a wrong answer that looks right.
    pub fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let mut parameters = Vec::new();
        for pair in pairs {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            if !known.contains(&name.as_str()) {
                return Err(Problem::parameter(
                    &name,
                    &value,
                    &format!("there is no such parameter here, only {}", known.join(", ")),
                ));
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    /// Returns the value of a parameter that may be given once.
    pub fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let value = values.next();
        match values.next() {
            None => Ok(value),
            Some(second) => Err(Problem::parameter(name, second, "give it once")),
        }
    }

    /// Returns the names in a list, whether written with commas or as several parameters.
    pub fn list(&self, name: &str) -> Option<Vec<String>> {
        let values: Vec<&str> = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect();
        let names = |value: &&str| value.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>();
        (!values.is_empty()).then(|| values.iter().flat_map(names).filter(|name| !name.is_empty()).collect())
    }

    /// Writes the parameters with one replaced, for a link to another page.
    pub fn with(&self, name: &str, value: &str) -> String {
        let kept = self.0.iter().filter(|(key, _)| key != name).map(|(key, value)| (key.as_str(), value.as_str()));
        let pairs = kept.chain([(name, value)]);
        pairs.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect::<Vec<_>>().join("&")
    }

    /// Returns the hrefs that were asked for with `hrefs=`.
    pub fn hrefs(&self, default: Hrefs) -> Result<Hrefs, Problem> {
        match self.one("hrefs")? {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| Problem::parameter("hrefs", text, "say https or s3")),
        }
    }
}

use crate::catalog::percent_encoded as encoded;

fn decoded(text: &str) -> Result<String, Problem> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                match (digit(rest.next()), digit(rest.next())) {
                    (Some(high), Some(low)) => (high * 16 + low) as u8,
                    _ => {
                        return Err(Problem::bad_request(format!(
                            "the query {text:?} has a % without two hexadecimal digits"
                        )));
                    }
                }
            }
            byte => byte,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| Problem::bad_request("the query is not UTF-8"))?;
    if text.contains('\0') {
        return Err(Problem::bad_request("the query contains the character U+0000"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_parameters_are_refused() {
        assert!(Query::parse(Some("bbox=1&limt=3"), &["bbox", "limit"]).is_err());
        assert!(Query::parse(Some("bbox=%zz"), &["bbox"]).is_err());
        assert!(Query::parse(Some("ids=%00"), &["ids"]).is_err());
        assert!(Query::parse(None, &[]).is_ok());
    }

    #[test]
    fn lists_take_commas_and_repetition_and_single_values_do_not() {
        let query = Query::parse(Some("ids=a,b&ids=c&limit=1&limit=2"), &["ids", "limit"]).unwrap();
        assert_eq!(query.list("ids").unwrap(), ["a", "b", "c"]);
        assert!(query.one("limit").is_err());
        assert_eq!(query.list("collections"), None);
    }

    #[test]
    fn another_page_keeps_the_question() {
        let query = Query::parse(Some("bbox=1%2C2&token=x&ids=a+b"), &["bbox", "token", "ids"]).unwrap();
        assert_eq!(query.with("token", "y/z"), "bbox=1%2C2&ids=a%20b&token=y%2Fz");
    }
}
