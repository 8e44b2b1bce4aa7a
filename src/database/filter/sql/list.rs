//! IN, whatever is in the list.

use super::Writer;
use crate::database::filter::predicate::List;

impl Writer<'_> {
    pub(super) fn list(&mut self, list: &List) {
        match list {
            List::Numbers(value, list) => {
                self.number(value);
                self.any(list, Self::number, "::numeric[])");
            }
            List::Texts(value, list) => {
                self.text(value);
                self.push(" collate \"C\"");
                self.any(list, Self::text, "::text[])");
            }
            List::Times(value, list) => {
                self.time(value);
                self.any(list, Self::time, "::timestamptz[])");
            }
            List::Bools(value, list) => {
                self.value(value);
                self.any(list, Self::value, "::boolean[])");
            }
            List::Properties(name, list) => {
                for (i, other) in list.iter().enumerate() {
                    self.push(if i == 0 { "" } else { " or " });
                    self.compared(name, other);
                    self.push(" = 0");
                }
            }
        }
    }

    fn any<T>(&mut self, list: &[T], write: impl Fn(&mut Self, &T), close: &'static str) {
        self.push(" = any(array[");
        for (i, one) in list.iter().enumerate() {
            self.push(if i == 0 { "" } else { ", " });
            write(self, one);
        }
        self.push("]");
        self.push(close);
    }
}
