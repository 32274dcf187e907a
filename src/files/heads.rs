//! [`Heads`]: the heads of the plain responses with a representation, made once, so that a request
//! allocates nothing.

use crate::files::conditions::{self, Judgement, Validators};
use crate::files::represent::Representation;
use crate::message::body::Body;
use crate::message::fields::Fields;
use crate::message::response::Response;
use crate::message::template::Template;

#[derive(Clone, Debug)]
pub(super) struct Heads {
    validators: Validators,
    whole: Template,
    not_modified: Template,
}

impl Heads {
    /// Makes the heads. `finish` adds the fields that do not depend on the representation.
    pub(super) fn of(chosen: Representation<'_>, finish: impl Fn(Response) -> Response) -> Heads {
        Heads {
            validators: chosen.validators.clone(),
            not_modified: Template::of(finish(chosen.not_modified())),
            whole: Template::of(finish(chosen.whole())),
        }
    }

    /// Responds to a plain request, which has no range, and no condition that fails. `None` for every
    /// other one.
    pub(super) fn respond(
        &self,
        fields: &Fields<'_>,
        body: impl FnOnce() -> Body,
    ) -> Option<Response> {
        if fields.contains("range") {
            return None;
        }
        match conditions::judge(fields, &self.validators) {
            Judgement::Send => Some(self.whole.with(body())),
            Judgement::NotModified => Some(self.not_modified.with(Body::empty())),
            Judgement::Failed => None,
        }
    }
}
