//! A measured program, as the measuring one sees it.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::side::{Answer, Order};

/// It ends with this value.
pub struct Program {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Program {
    /// Longest time that an answer may take, beyond what the order itself allows.
    const PATIENCE: Duration = Duration::from_secs(20);

    pub fn start(words: &[String]) -> Result<Self> {
        let (program, rest) = words.split_first().context("no program")?;
        let mut command = Command::new(program);
        command.args(rest).kill_on_drop(true);
        let piped = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(crate::log()?);
        let mut child = piped
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let orders = child.stdin.take().context("no input")?;
        let answers = child.stdout.take().context("no output")?;
        Ok(Self {
            child,
            orders,
            answers: BufReader::new(answers).lines(),
        })
    }

    /// Has an order carried out.
    pub async fn ask(&mut self, order: &Order) -> Result<Answer> {
        let asked = tokio::time::timeout(Self::PATIENCE, self.asked(order)).await;
        asked.map_err(|_elapsed| anyhow!("no answer to {order:?}"))?
    }

    async fn asked(&mut self, order: &Order) -> Result<Answer> {
        let line = serde_json::to_string(order)? + "\n";
        let said = self.orders.write_all(line.as_bytes()).await;
        said.context("the program has ended")?;
        loop {
            let line = self.answers.next_line().await?;
            let line = line.context("the program has ended")?;
            // What a library prints is no answer.
            let Ok(answer) = serde_json::from_str::<Answer>(&line) else {
                continue;
            };
            if let Some(error) = answer.error {
                bail!("{error}");
            }
            return Ok(answer);
        }
    }

    /// The CPU seconds that it took so far.
    pub fn cpu(&self) -> f64 {
        self.child.id().map_or(0.0, crate::server::cpu_of)
    }
}
