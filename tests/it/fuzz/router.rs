//! Patterns and requests that the bytes decide, against the model of Go's patterns.

use crate::router::model;
use crate::support::random::Random;

pub(crate) fn target(data: &[u8]) {
    let data = &data[..data.len().min(1000)];
    let mut random = Random::of(data);
    let requests = 1 + data.len() / 12;
    model::compare(&mut random, requests, &|| "the bytes of a fuzzer".to_owned());
}

#[cfg(test)]
#[test]
fn routes_are_those_of_the_model() {
    let make = |random: &mut Random| {
        let len = 20 + random.below(200);
        (0..len).map(|_| random.next() as u8).collect()
    };
    super::run::check("router", 600, &[], make, target);
}
