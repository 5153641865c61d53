//! What was seen, in words and with names, beside the facts that are judged.

use crate::reason::PostureStep;

/// Notes by step.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(Vec<(PostureStep, String)>);

impl Notes {
    /// One line, whatever is in it.
    pub(super) fn add(&mut self, step: PostureStep, text: impl AsRef<str>) {
        self.0.push((step, text.as_ref().escape_debug().to_string()));
    }

    /// The notes of a step, in the order in which they came.
    pub(super) fn of(&self, step: PostureStep) -> Vec<String> {
        self.0.iter().filter(|(of, _)| *of == step).map(|(_, text)| text.clone()).collect()
    }
}
