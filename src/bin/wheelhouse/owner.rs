//! The owner of the file of a Unix socket, by names or numbers.

use std::fs;

/// The ids of a user and a group; `None` for the one that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) user: Option<u32>,
    pub(crate) group: Option<u32>,
}

impl Owner {
    /// Finds the ids for `USER`, `USER:GROUP` or `:GROUP`. Names are those of `/etc/passwd` and
    /// `/etc/group`; for a directory service give numbers. An error is the expected value.
    pub(crate) fn find(text: &str) -> Result<Owner, String> {
        let (user, group) = text.split_once(':').unwrap_or((text, ""));
        if user.is_empty() && group.is_empty() {
            return Err("USER, USER:GROUP or :GROUP".to_owned());
        }
        Ok(Owner {
            user: id(user, "/etc/passwd", "a user")?,
            group: id(group, "/etc/group", "a group")?,
        })
    }
}

fn id(name: &str, file: &str, kind: &str) -> Result<Option<u32>, String> {
    if name.is_empty() {
        return Ok(None);
    }
    if let Ok(id) = name.parse() {
        return Ok(Some(id));
    }
    let table = fs::read_to_string(file).unwrap_or_default();
    let found = id_in(&table, name);
    found.map(Some).ok_or_else(|| format!("{kind} of {file}, or a number, in place of {name:?}"))
}

/// Returns the third column of the line whose first column is `name`.
fn id_in(table: &str, name: &str) -> Option<u32> {
    let mut lines = table.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let line = lines.find(|columns| columns[0] == name)?;
    line.get(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_found_by_its_name_or_its_number() {
        let table = "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\n";
        assert_eq!(id_in(table, "www-data"), Some(33));
        assert_eq!(id_in(table, "www"), None);
        assert_eq!(Owner::find("1:2"), Ok(Owner { user: Some(1), group: Some(2) }));
        assert_eq!(Owner::find("7"), Ok(Owner { user: Some(7), group: None }));
        assert_eq!(Owner::find(":7"), Ok(Owner { user: None, group: Some(7) }));
        assert!(Owner::find("no-such-user:0").unwrap_err().contains("/etc/passwd"));
        assert!(Owner::find("0:no-such-group").unwrap_err().contains("/etc/group"));
        assert!(Owner::find(":").is_err() && Owner::find("").is_err());
    }
}
