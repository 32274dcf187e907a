//! Paths as segments between slashes, and clean paths (RFC 3986, section 5.2.4): those without
//! empty segments, `.` and `..`.

/// Removes empty and dot segments from `path`. The result begins with exactly one slash, and ends
/// with one if `path` does. Escapes are not decoded: `%2e%2e` is a segment with a strange name.
pub(crate) fn clean(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    let mut clean = String::with_capacity(path.len() + 1);
    for segment in &segments {
        clean.push('/');
        clean.push_str(segment);
    }
    if clean.is_empty() || path.ends_with('/') {
        clean.push('/');
    }
    clean
}

/// Returns the position of the slash with `count` slashes before it, or the length of `path`.
pub(crate) fn nth_slash(path: &[u8], count: usize) -> usize {
    let mut slashes = path.iter().enumerate().filter(|(_, &byte)| byte == b'/');
    slashes.nth(count).map_or(path.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_and_empty_segments_are_removed_and_escapes_stay() {
        for (path, expected) in [
            ("", "/"),
            ("a", "/a"),
            ("//a/./b//c/", "/a/b/c/"),
            ("/a/../../b", "/b"),
            ("/a/..", "/"),
            ("/%2e%2e/...", "/%2e%2e/..."),
        ] {
            assert_eq!(clean(path), expected, "{path}");
        }
    }
}
