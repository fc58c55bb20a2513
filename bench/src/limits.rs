//! What jobs that are held back, and turns for tenants, cost a claim.

use std::time::Duration;

use anyhow::{Result, bail};
use longshore_core::{ClaimRequest, Group, Quota, Spread, Store, WorkerId};

use crate::Folder;
use crate::direct::{QUEUE, new_jobs};
use crate::measure::{Scale, Stopwatch, Table, Turns};
use crate::store::open;

/// Jobs that are held back, all due before any other.
const HELD: usize = 100_000;
const TENANTS: usize = 10_000;
/// Jobs that may be claimed: four of each tenant, where there are tenants.
const OPEN: usize = 40_000;
const BATCH: usize = 100;
const CLAIMS: usize = 200;
/// The kind and the tenant of what is held back.
const HELD_NAME: &str = "held";

/// What waits in front, and what a claim asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Variant {
    Plain,
    HeldKind,
    HeldTenant,
    HeldTenantInTurns,
    Tenants,
    Turns(usize),
}

struct Run {
    claims_per_second: f64,
    cpu_us: f64,
}

pub async fn rows(folder: &Folder, scale: Scale) -> Result<()> {
    let held = [
        ("nothing held back", Variant::Plain),
        (
            "100,000 jobs of a kind with quota 0 in front",
            Variant::HeldKind,
        ),
        (
            "100,000 jobs of a tenant with quota 0 in front",
            Variant::HeldTenant,
        ),
        (
            "the same, and tenants take turns",
            Variant::HeldTenantInTurns,
        ),
    ];
    let title = "Jobs that are held back: claims of 100, none settled";
    print(title, &held, folder, scale).await?;
    let tenants = [
        ("by due time", Variant::Tenants),
        ("in turns, 1 each", Variant::Turns(1)),
        ("in turns, 10 each", Variant::Turns(10)),
    ];
    let title = "10,000 tenants that wait: claims of 100, none settled";
    print(title, &tenants, folder, scale).await
}

async fn print(
    title: &'static str,
    variants: &[(&str, Variant)],
    folder: &Folder,
    scale: Scale,
) -> Result<()> {
    let turns = Turns::take(variants.len(), scale.rounds(5), async |at| {
        let variant = variants
            .get(at)
            .map_or(Variant::Plain, |(_, variant)| *variant);
        run(&*open(&folder.fresh())?, variant).await
    })
    .await?;
    let columns = [
        "what",
        "claims/s",
        "µs CPU a claim",
        "claims, of the first row's",
    ];
    let mut table = Table::new(title, &columns);
    for (at, (name, _)) in variants.iter().enumerate() {
        table.row(vec![
            (*name).to_owned(),
            turns.of(at, |run| run.claims_per_second).cell(0),
            turns.of(at, |run| run.cpu_us).cell(1),
            turns.ratio(at, 0, |run| run.claims_per_second).spread(2),
        ]);
    }
    table.print();
    Ok(())
}

async fn run(store: &dyn Store, variant: Variant) -> Result<Run> {
    let held = match variant {
        Variant::HeldKind | Variant::HeldTenant | Variant::HeldTenantInTurns => HELD,
        _ => 0,
    };
    let of_tenants = matches!(variant, Variant::Tenants | Variant::Turns(_));
    fill(store, variant, held, |_| None).await?;
    fill(store, Variant::Plain, OPEN, |at| {
        of_tenants.then(|| format!("tenant-{:05}", at % TENANTS))
    })
    .await?;
    let (worker, lease) = (WorkerId::new("longshore-bench"), Duration::from_secs(300));
    let mut request = ClaimRequest::new(worker, vec![QUEUE.parse()?], BATCH, lease);
    request.quotas = quotas(variant)?;
    let each = match variant {
        Variant::Turns(each) => Some(each),
        Variant::HeldTenantInTurns => Some(1),
        _ => None,
    };
    request.spread = each.map(|each| Spread { after: None, each });
    let watch = Stopwatch::start();
    for _ in 0..CLAIMS {
        let claimed = store.claim(&request).await?;
        if claimed.len() < BATCH {
            bail!("a claim found {} jobs, fewer than {BATCH}", claimed.len());
        }
        request.turn += claimed.len() as u64;
        if let (Some(spread), Some(last)) = (&mut request.spread, claimed.last()) {
            spread.after = Some(last.job.tenant_id.clone().unwrap_or_default());
        }
    }
    Ok(Run {
        claims_per_second: watch.per_second(CLAIMS),
        cpu_us: watch.cpu_us(CLAIMS),
    })
}

fn quotas(variant: Variant) -> Result<Vec<Quota>> {
    let group = match variant {
        Variant::HeldKind => Group::Kind(HELD_NAME.parse()?),
        Variant::HeldTenant | Variant::HeldTenantInTurns => Group::Tenant(HELD_NAME.to_owned()),
        _ => return Ok(Vec::new()),
    };
    Ok(vec![Quota { group, at_most: 0 }])
}

async fn fill(
    store: &dyn Store,
    variant: Variant,
    jobs: usize,
    tenant: impl Fn(usize) -> Option<String>,
) -> Result<()> {
    let mut made = 0;
    while made < jobs {
        let mut new = new_jobs(store, 1000.min(jobs - made)).await?;
        for job in &mut new {
            job.tenant_id = tenant(made);
            match variant {
                Variant::HeldKind => job.kind = HELD_NAME.parse()?,
                Variant::HeldTenant | Variant::HeldTenantInTurns => {
                    job.tenant_id = Some(HELD_NAME.to_owned());
                }
                _ => {}
            }
            made += 1;
        }
        for answer in store.enqueue(new).await? {
            answer?;
        }
    }
    Ok(())
}
