//! `GET /v1/log/checkpoint`: signed checkpoint of the log, as text that anybody can verify.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::SharedState;
use super::params::Params;
use super::problem::{Problem, ProblemType};
use crate::audit;
use crate::config::SIGNING_KEY;

#[tracing::instrument(name = "log_checkpoint", level = "debug", skip_all)]
pub(super) async fn get(
    State(app): SharedState,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    params.finish()?;
    let key = app.signing_key.as_ref().ok_or_else(|| {
        let detail = format!("no checkpoint can be signed: set {SIGNING_KEY} for the server");
        Problem::new(ProblemType::NoSigningKey, detail)
    })?;
    let checkpoint = audit::checkpoint(&app.store.log).await?;
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, checkpoint.sign(key)))
}
