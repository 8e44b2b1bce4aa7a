//! One asset that a client read here: its href is the object again, and what polder had put beside it is gone.

use super::{
    fault::{Faults, Place},
    members::{Members, write_members},
    own_urls::{Alternates, OwnUrls, text},
};

/// What an alternate has that polder adds for the object.
const OBJECT: [&str; 4] = ["href", "alternate:name", "storage:refs", "polder:version_id"];

/// An asset as it was read here, beside the one that is stored. Hrefs are JSON texts, with their quotes.
pub(super) struct OwnAsset<'a> {
    urls: &'a OwnUrls<'a>,
    key: &'a str,
    json: &'a str,
    given: Members<'a>,
    alternates: Option<Members<'a>>,
    stored_href: Option<&'a str>,
    stored_alternates: Option<Members<'a>>,
}

impl<'a> OwnAsset<'a> {
    pub fn new(urls: &'a OwnUrls<'a>, key: &'a str, json: &'a str, given: Members<'a>) -> Self {
        let stored = urls.stored_asset(key);
        let alternates = |asset: &Members<'a>| Members::parse(asset.get("alternate")?).ok();
        Self {
            urls,
            key,
            json,
            alternates: alternates(&given),
            stored_href: stored.as_ref().and_then(|stored| stored.get("href")),
            stored_alternates: stored.as_ref().and_then(alternates),
            given,
        }
    }

    /// Writes the asset as it is to be stored.
    pub fn turn_back(self, out: &mut String, seen: &mut Alternates, faults: &mut Faults) {
        let object = self.added("s3").filter(|json| is_object(json)).and_then(href_of);
        let url = self.added("https").filter(|json| self.is_url(json));
        let href = self.href(object, faults);
        // The alternate of an object that the asset no longer is was still polder's.
        let object_goes = object.is_some() && (object == href || object == self.stored_href);
        let goes = |name: &str| (name == "s3" && object_goes) || (name == "https" && url.is_some());
        let left = self.alternates.iter().flat_map(Members::iter).filter(|(name, _)| !goes(name)).count();
        let removed = object_goes || url.is_some();
        seen.removed |= removed;
        seen.left |= left > 0;
        if !removed && href == self.given.get("href") {
            return out.push_str(self.json);
        }
        let drops_all = removed && left == 0 && self.stored_alternates.is_none();
        let members = without(&self.given, |name| name == "alternate" && drops_all);
        write_members(out, &members, |name, _| match name {
            "href" => href.map(str::to_owned),
            "alternate" if removed => self.alternates.as_ref().map(|alternates| {
                let mut out = String::new();
                write_members(&mut out, &without(alternates, goes), |_, _| None);
                out
            }),
            _ => None,
        });
    }

    /// Returns the alternate of a name unless it was given under that name: then polder added none.
    fn added(&self, name: &str) -> Option<&'a str> {
        let was_given = self.stored_alternates.as_ref().is_some_and(|given| given.get(name).is_some());
        self.alternates.as_ref()?.get(name).filter(|_| !was_given)
    }

    /// Returns the object that an own URL serves: the one that polder put beside it, else the stored one, else the one
    /// that somebody else put there.
    fn href(&self, object: Option<&'a str>, faults: &mut Faults) -> Option<&'a str> {
        let given = self.given.get("href");
        let Some(url) = text(given).filter(|href| self.urls.serves(href)) else { return given };
        let stored = self.stored_href.filter(|_| self.urls.is_of(self.key, &url));
        let named = || href_of(self.alternates.as_ref()?.get("s3")?);
        let href = object.or(stored).or_else(named);
        if href.is_none() {
            let assets = Place::Root.member("assets");
            let problem = "must be the object itself: nothing says which one is served under this URL";
            faults.add(&assets.member(self.key).member("href"), problem);
        }
        href
    }

    fn is_url(&self, json: &str) -> bool {
        Members::parse(json).is_ok_and(|alternate| {
            let serves = text(alternate.get("href")).is_some_and(|href| self.urls.serves(&href));
            serves && alternate.0.len() == 2 && text(alternate.get("alternate:name")).as_deref() == Some("HTTPS")
        })
    }
}

/// Whether an alternate is as polder writes that of an object.
fn is_object(json: &str) -> bool {
    Members::parse(json).is_ok_and(|alternate| {
        let named = text(alternate.get("alternate:name")).as_deref() == Some("S3");
        named && alternate.iter().all(|(name, _)| OBJECT.contains(&name))
    })
}

/// Returns the href of an alternate that names an object.
fn href_of(json: &str) -> Option<&str> {
    let href = Members::parse(json).ok()?.get("href")?;
    text(Some(href)).is_some_and(|href| href.starts_with("s3://")).then_some(href)
}

fn without<'a>(members: &Members<'a>, goes: impl Fn(&str) -> bool) -> Members<'a> {
    Members(members.0.iter().filter(|(name, _)| !goes(name)).map(|(name, value)| (name.clone(), *value)).collect())
}
