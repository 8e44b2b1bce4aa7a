//! Gathers marks, line by line, into points.

use super::{Fault, Gcp, Role};
use crate::spatial::Crs;

/// One line of a file: a point, and one of its marks.
pub(super) struct Entry {
    pub line: usize,
    pub name: Option<String>,
    pub crs: Crs,
    /// Easting, northing, height.
    pub place: [f64; 3],
    pub role: Role,
    pub mark: Option<(String, [f64; 2])>,
}

/// The points of a file, in the order in which they first appear.
#[derive(Debug, Default)]
pub(super) struct Points {
    gcps: Vec<Gcp>,
    /// The line of each point, and whether it came with a name.
    origins: Vec<(usize, bool)>,
}

impl Points {
    /// Adds a mark to the point of the same name, or of the same place when it has none, or begins a new one.
    ///
    /// # Errors
    /// When a name stands for two places, or a point has two roles.
    pub fn add(&mut self, entry: Entry) -> Result<(), Fault> {
        let Entry { line, name, crs, place: [x, y, height_m], role, mark } = entry;
        let here = |gcp: &Gcp| (gcp.crs, gcp.xy, gcp.height_m) == (crs, [x, y], height_m);
        let known = match &name {
            Some(name) => self.gcps.iter().zip(&self.origins).position(|(gcp, (_, named))| *named && gcp.name == *name),
            None => self.gcps.iter().position(here),
        };
        let Some(index) = known else {
            self.origins.push((line, name.is_some()));
            let name = name.unwrap_or_else(|| format!("gcp {}", self.gcps.len() + 1));
            self.gcps.push(Gcp { name, crs, xy: [x, y], height_m, role, marks: mark.into_iter().collect() });
            return Ok(());
        };
        let (gcp, first) = (&mut self.gcps[index], self.origins[index].0);
        if !here(gcp) {
            return Err(Fault::new(
                line,
                format!("point {} stands elsewhere in line {first}: give each point a name of its own", gcp.name),
            ));
        }
        if gcp.role != role {
            return Err(Fault::new(line, format!("point {} has another role in line {first}: choose one", gcp.name)));
        }
        gcp.marks.extend(mark);
        Ok(())
    }

    pub fn into_gcps(self) -> Vec<Gcp> {
        self.gcps
    }
}

/// The role that a word names; nothing said is control.
pub(super) fn role_of(word: &str) -> Option<Role> {
    match word.trim().to_lowercase().replace(['_', '-'], " ").as_str() {
        "" | "control" | "gcp" | "ground control" | "ground control point" | "control point" => Some(Role::Control),
        "check" | "cp" | "checkpoint" | "check point" | "validation" => Some(Role::Check),
        _ => None,
    }
}
