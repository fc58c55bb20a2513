//! Extending leases.

use std::collections::HashSet;

use longshore_core::{Beat, BeatAnswer, StoreError, Timestamp};
use sqlx::postgres::PgConnection;

use crate::row::{Columns, nanos};
use crate::session::Context;
use crate::statement::all;

/// Extends the leases and stores what the beats carry.
pub(crate) async fn heartbeat(
    conn: &mut PgConnection,
    context: &Context,
    beats: &[Beat],
) -> Result<Vec<BeatAnswer>, StoreError> {
    let mut answers = vec![BeatAnswer::Lost; beats.len()];
    let mut left: Vec<usize> = (0..beats.len()).collect();
    while !left.is_empty() {
        // Several beats for one job count one after the other.
        let mut ids = HashSet::new();
        let is_first = |at: &usize| beats.get(*at).is_some_and(|beat| ids.insert(&beat.job_id));
        let (round, later): (Vec<usize>, Vec<usize>) = left.into_iter().partition(is_first);
        let found: Vec<(usize, &Beat)> = round
            .into_iter()
            .filter_map(|at| Some((at, beats.get(at)?)))
            .collect();
        for (at, answer) in beat_once(conn, context, &found).await? {
            if let Some(slot) = answers.get_mut(at) {
                *slot = answer;
            }
        }
        left = later;
    }
    Ok(answers)
}

async fn beat_once(
    conn: &mut PgConnection,
    context: &Context,
    beats: &[(usize, &Beat)],
) -> Result<Vec<(usize, BeatAnswer)>, StoreError> {
    let ids: Vec<&str> = beats.iter().map(|(_, beat)| beat.job_id.as_str()).collect();
    let tokens: Vec<i64> = beats.iter().map(|(_, beat)| beat.token.get()).collect();
    let extends: Vec<i64> = beats
        .iter()
        .map(|(_, beat)| nanos(beat.extend_by))
        .collect();
    let percents = beats.iter().map(|(_, beat)| beat.progress.map(i16::from));
    let marks = beats.iter().map(|(_, beat)| beat.checkpoint.as_deref());
    let sql = &context.sql;
    let query = sql
        .query(&sql.heartbeat)
        .of(beats.len())
        .bind(context.given())
        .bind(ids)
        .bind(tokens)
        .bind(extends)
        .bind(percents.collect::<Vec<_>>())
        .bind(marks.collect::<Vec<_>>());
    let rows = all(conn, query).await?;
    let answer = |row| {
        let from = &mut Columns::from(row, 0);
        let (place, until): (i64, Timestamp) = (from.value()?, from.time()?);
        let answer = match from.value()? {
            true => BeatAnswer::CancelRequested(until),
            false => BeatAnswer::Held(until),
        };
        let place = usize::try_from(place - 1).unwrap_or(usize::MAX);
        let at = beats.get(place).map_or(usize::MAX, |(at, _)| *at);
        Ok((at, answer))
    };
    rows.iter().map(answer).collect()
}
