//! Hooks: a program's eyes on its connections (Go's `ConnContext` and `ConnState`) and on the end
//! (Go's `RegisterOnShutdown`).

use std::any::Any;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::handler::hooks::{Accepted, Admission, ConnState, Refused};
use crate::handler::timers::Timers;
use crate::reactor::guard::guard;
use crate::reactor::loop_group::Group;

type ConnectHook = Box<dyn FnMut(&Accepted<'_>) -> Admission>;
type ShutdownHook = Box<dyn FnOnce()>;
type StateHook = Box<dyn FnMut(u64, ConnState)>;

/// The hooks that a program has set.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) on_connect: Option<ConnectHook>,
    pub(crate) on_state: Option<StateHook>,
    pub(crate) on_shutdown: Vec<ShutdownHook>,
    /// What is called at times of its own, without the state.
    pub(crate) timers: Timers,
    /// The loops that end with this one.
    pub(crate) group: Option<Arc<Group>>,
    has_heard_signal: bool,
    /// How many calls of hooks have panicked.
    pub(crate) panics: u64,
}

impl Hooks {
    pub(crate) fn admit(
        &mut self,
        accepted: &Accepted<'_>,
    ) -> Result<Option<Box<dyn Any>>, Refused> {
        match &mut self.on_connect {
            Some(hook) => guard(|| hook(accepted).0).unwrap_or_else(|()| {
                self.panics += 1;
                Err(Refused)
            }),
            None => Ok(None),
        }
    }

    /// Tells the group of a shutdown; the time-out that counts.
    pub(crate) fn tell_group(&self, timeout: Option<Duration>) -> Option<Duration> {
        self.group.as_ref().map_or(timeout, |group| group.shut_down(timeout))
    }

    pub(crate) fn tell_group_to_stop(&self) {
        if let Some(group) = &self.group {
            group.stop();
        }
    }

    /// Whether a signal that has come asks for the graceful end, and not for the hard one. That the
    /// server drains already says nothing: somebody else may have ended it, or the news of this very
    /// signal from another loop of the group was faster, since each hears every signal.
    pub(crate) fn is_first_signal(&mut self) -> bool {
        !mem::replace(&mut self.has_heard_signal, true)
    }

    /// Each once, in the order in which they were set.
    pub(crate) fn tell_shutdown(&mut self) {
        for hook in mem::take(&mut self.on_shutdown) {
            self.panics += u64::from(guard(hook).is_err());
        }
    }

    pub(crate) fn tell(&mut self, id: u64, state: ConnState) {
        if let Some(hook) = &mut self.on_state {
            // A hook that panics has been told all the same.
            self.panics += u64::from(guard(|| hook(id, state)).is_err());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_second_signal_is_a_second_one_whoever_else_has_ended_the_server() {
        let mut hooks = Hooks::default();
        hooks.tell_shutdown();
        assert_eq!([(); 3].map(|()| hooks.is_first_signal()), [true, false, false]);
    }
}
