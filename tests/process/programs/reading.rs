//! One read, however often a signal or a pause of the machine interrupts it: with a timeout, the system does not
//! repeat it.

use std::io::{ErrorKind, Read, Result};

pub(crate) fn read_some(stream: &mut impl Read, room: &mut [u8]) -> Result<usize> {
    loop {
        match stream.read(room) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
