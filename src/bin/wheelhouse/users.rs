//! Basic authentication (RFC 7617): one user from a flag, or the users of a file that
//! `htpasswd -B` has written. The library decodes the field.
//!
//! A hash of bcrypt is slow on purpose, and it is computed on the loop. So each password is computed
//! once: a keyed hash of the last good one of each user stays in memory, and further requests with
//! it take a microsecond. Passwords that are not known, good or wrong, get at most a tenth of the
//! time, after a reserve of one second. Beyond that the response is a 429 with `Retry-After`, and
//! only for them. A user who does not exist takes as long as one who does.
//!
//! The password is not encrypted, so on an open network use it only with a proxy that ends TLS.

use std::collections::hash_map::RandomState;
use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::hash::BuildHasher;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bcrypt::HashParts;
use wheelhouse::auth::BasicAuth;

/// The costs that a hash may have, up to about 300 ms. `htpasswd -B` uses 5, about 2.4 ms. There is no
/// hash of a lower cost.
const COSTS: RangeInclusive<u32> = 4..=12;
/// The time for passwords that are not known, after a time without any.
const RESERVE: f64 = 1.0;
/// The part of the time for passwords that are not known.
const SHARE: f64 = 0.1;

/// The users whose requests are served.
pub(crate) struct Users(Source);

enum Source {
    Pair { user: String, password: String },
    File { path: PathBuf, known: Mutex<Known>, keys: [RandomState; 2] },
}

/// The result of a check.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Check {
    User(String),
    Wrong,
    /// Too many unknown passwords. Worth a try after this time.
    Busy(Duration),
}

struct Known {
    users: HashMap<String, User>,
    /// The seconds that are left for unknown passwords. Negative if the last one took longer.
    left: f64,
    since: Instant,
}

#[derive(Debug)]
struct User {
    hash: String,
    /// The keyed hash of the last good password.
    good: Option<[u64; 2]>,
}

impl Users {
    /// Parses `USER:PASSWORD`. Returns `None` without a colon or a user.
    pub(crate) fn pair(text: &str) -> Option<Users> {
        let (user, password) = text.split_once(':').filter(|(user, _)| !user.is_empty())?;
        Some(Users(Source::Pair { user: user.to_owned(), password: password.to_owned() }))
    }

    /// Reads a file. An error is a description of the expected one, without its hashes.
    pub(crate) fn from_file(path: &Path) -> Result<Users, String> {
        let known = Known { users: read(path)?, left: RESERVE, since: Instant::now() };
        let (path, known) = (path.to_owned(), Mutex::new(known));
        Ok(Users(Source::File { path, known, keys: [RandomState::new(), RandomState::new()] }))
    }

    /// Reads the file anew. After an error the users stay as they are.
    pub(crate) fn reload(&self) -> Result<(), String> {
        let Source::File { path, known, .. } = &self.0 else { return Ok(()) };
        let users = read(path)
            .map_err(|expected| format!("{} is not read: expected {expected}", path.display()))?;
        lock(known).replace(users);
        Ok(())
    }

    /// Checks the credentials of a request.
    pub(crate) fn check(&self, auth: &BasicAuth) -> Check {
        match &self.0 {
            Source::Pair { user, password } => match auth.matches(user, password) {
                true => Check::User(user.clone()),
                false => Check::Wrong,
            },
            Source::File { known, keys, .. } => {
                let user = String::from_utf8_lossy(auth.user());
                check_in(known, keys, &user, auth.password())
            }
        }
    }
}

fn check_in(known: &Mutex<Known>, keys: &[RandomState; 2], name: &str, password: &[u8]) -> Check {
    let digest = [0, 1].map(|n| keys[n].hash_one((name, password)));
    let mut of_all = lock(known);
    let user = of_all.users.get(name);
    if user.is_some_and(|user| user.good == Some(digest)) {
        return Check::User(name.to_owned());
    }
    // The hash of another user stands for that of a user who does not exist.
    let Some(compared) = user.or_else(|| of_all.users.values().next()) else { return Check::Wrong };
    let (hash, exists) = (compared.hash.clone(), user.is_some());
    let start = Instant::now();
    if let Err(wait) = of_all.may_begin(start) {
        return Check::Busy(wait);
    }
    // Other cores need the lock meanwhile.
    drop(of_all);
    let is_right = bcrypt::verify(password, &hash).unwrap_or(false);
    let mut of_all = lock(known);
    of_all.left -= start.elapsed().as_secs_f64();
    match of_all.users.get_mut(name) {
        // The file may have been read anew.
        Some(user) if is_right && exists && user.hash == hash => {
            user.good = Some(digest);
            Check::User(name.to_owned())
        }
        _ => Check::Wrong,
    }
}

impl Known {
    /// Takes other users. Those whose hashes are the same keep their good passwords.
    fn replace(&mut self, mut users: HashMap<String, User>) {
        for (name, user) in &mut users {
            let before = self.users.remove(name).filter(|before| before.hash == user.hash);
            user.good = before.and_then(|before| before.good);
        }
        self.users = users;
    }

    /// Returns the time to wait, if unknown passwords have used up their time.
    fn may_begin(&mut self, now: Instant) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.since).as_secs_f64();
        self.left = (self.left + passed * SHARE).min(RESERVE);
        self.since = now;
        match self.left > 0.0 {
            true => Ok(()),
            false => Err(Duration::from_secs_f64((-self.left / SHARE).max(1.0))),
        }
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(path: &Path) -> Result<HashMap<String, User>, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("a file with users that can be read ({error})"))?;
    parse(&text)
}

/// Parses the lines of a file. An error is a description of the expected line.
fn parse(text: &str) -> Result<HashMap<String, User>, String> {
    let mut users = HashMap::new();
    // Some editors write a byte order mark, which would be part of the first name.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |expected: &str| format!("{expected} in line {}", n + 1);
        let (name, hash) = line
            .split_once(':')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| wrong("USER:HASH, as `htpasswd -B` writes it,"))?;
        let hash = hash.split(':').next().unwrap_or_default().to_owned();
        // The parser takes `+4` for a cost, with which no password would be right.
        let parts = hash.parse::<HashParts>().ok().filter(|_| !hash.contains('+'));
        let parts = parts.ok_or_else(|| wrong("a hash of bcrypt, as `htpasswd -B` makes it,"))?;
        if !COSTS.contains(&parts.get_cost()) {
            return Err(wrong("a cost from 4 to 12 (`htpasswd -B -C 10`)"));
        }
        if users.insert(name.to_owned(), User { hash, good: None }).is_some() {
            return Err(wrong("each user once, and not again"));
        }
    }
    match users.is_empty() {
        true => Err("a file with a line USER:HASH, as `htpasswd -B` writes it".to_owned()),
        false => Ok(users),
    }
}

/// Shows neither users nor passwords.
impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Users")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `htpasswd -nbB -C 4 ann secret` and the same for bob and `other`.
    const ANN: &str = "ann:$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";
    const BOB: &str = "bob:$2y$04$zyxwvutsrqponmlkjihgfeoEG75ieRiMxivbt62jo80oWmRUDHZ.e";

    fn known(text: &str) -> Mutex<Known> {
        let users = parse(text).unwrap();
        Mutex::new(Known { users, left: RESERVE, since: Instant::now() })
    }

    fn keys() -> [RandomState; 2] {
        [RandomState::new(), RandomState::new()]
    }

    fn is_known(known: &Mutex<Known>, name: &str) -> bool {
        lock(known).users.get(name).is_some_and(|user| user.good.is_some())
    }

    #[test]
    fn only_the_password_of_the_user_is_right_and_it_is_computed_once() {
        let (known, keys) = (known(&format!("# users\n\n{ANN}\n{BOB}:comment\r\n")), keys());
        let check = |name: &str, password: &str| check_in(&known, &keys, name, password.as_bytes());
        assert_eq!(check("ann", "other"), Check::Wrong);
        assert_eq!(check("eve", "secret"), Check::Wrong);
        assert_eq!(check("", ""), Check::Wrong);
        assert_eq!(check("ann", "secret\0x"), Check::Wrong);
        assert!(!is_known(&known, "ann"));
        assert_eq!(check("ann", "secret"), Check::User("ann".to_owned()));
        assert_eq!(check("bob", "other"), Check::User("bob".to_owned()));
        assert!(is_known(&known, "ann"));
        // Without time for unknown passwords, the known ones are still right.
        lock(&known).left = -100.0;
        assert_eq!(check("ann", "secret"), Check::User("ann".to_owned()));
        assert!(matches!(check("ann", "secre"), Check::Busy(_)));
        assert!(matches!(check("eve", "secret"), Check::Busy(_)));
    }

    /// Some editors write it, and no client could send the name with it.
    #[test]
    fn a_byte_order_mark_is_not_part_of_a_name() {
        let users = parse(&format!("\u{feff}{ANN}\n{BOB}")).unwrap();
        assert!(users.contains_key("ann") && users.contains_key("bob"));
    }

    #[test]
    fn unknown_passwords_get_a_tenth_of_the_time_after_a_reserve() {
        let start = Instant::now();
        let mut known = Known { users: HashMap::new(), left: RESERVE, since: start };
        assert!(known.may_begin(start).is_ok());
        known.left -= 1.5;
        assert_eq!(known.may_begin(start), Err(Duration::from_secs(5)));
        assert!(known.may_begin(start + Duration::from_secs(4)).is_err());
        assert!(known.may_begin(start + Duration::from_secs(6)).is_ok());
        assert!(known.may_begin(start + Duration::from_secs(3600)).is_ok());
        assert!(known.left <= RESERVE);
    }

    #[test]
    fn a_line_that_is_not_a_hash_of_bcrypt_is_an_error_with_its_number_and_without_its_text() {
        for (text, expected) in [
            (String::new(), "USER:HASH"),
            ("# nobody\n".to_owned(), "USER:HASH"),
            (format!("{ANN}\nbob"), "line 2"),
            (format!("{ANN}\n:hash"), "line 2"),
            ("ann:$apr1$x$hunter2".to_owned(), "htpasswd -B"),
            ("ann:{SHA}hunter2".to_owned(), "htpasswd -B"),
            (format!("{ANN}\n{ANN}"), "once"),
            (ANN.replace("$04$", "$13$"), "4 to 12"),
            (ANN.replace("$04$", "$03$"), "4 to 12"),
            (ANN.replace("$04$", "$+4$"), "htpasswd -B"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
