//! Errors of notes and proofs.

/// Reason why a note or a proof is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The text does not have the expected format.
    #[error("it has a wrong format: {0}")]
    Malformed(&'static str),
    /// No signature is by the key.
    #[error("it is not signed with this key")]
    NotSigned,
    /// The signature by the key is over another text.
    #[error("its signature is not over this text")]
    WrongSignature,
    /// The checkpoint is of another log, signed with this key.
    #[error("it is of another log than the key")]
    OtherOrigin,
    /// The hashes do not lead to the root.
    #[error("its hashes do not lead to the signed root")]
    WrongRoot,
}
