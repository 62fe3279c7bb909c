//! From a page of the listing to steps: what is not meant is left out, the rest is offered to the
//! destination, and what it answers decides.

use super::events::collides;
use super::plan::{self, Choice, Item, Step};
use super::{Event, OnConflict, Stopped};
use super::{Run, complete, missing_answer};
use crate::error::{Error, ErrorKind, Result};
use crate::service::{Answer, Offer, Page, Present};

impl Run {
    /// The files of a page that are to be offered; the others are dealt with.
    pub(super) fn choose(&self, page: Page) -> Vec<Item> {
        let (mut files, mut bytes) = (0, 0u64);
        let mut meant = Vec::new();
        for entry in page.entries {
            let choice = plan::choose(&entry, &self.options);
            if !matches!(choice, Choice::Skip) {
                files += 1;
                bytes = bytes.saturating_add(entry.size);
                meant.push((entry, choice));
            }
        }
        // Before the end of any of them.
        self.observe(Event::Listed { files, bytes });
        for failure in page.failures {
            if !self.options.filter.excludes(&failure.path) {
                self.never_started(&failure.path, None, failure.error);
            }
        }
        let mut items = Vec::new();
        for (entry, choice) in meant {
            match choice {
                Choice::Offer => items.push(Item::new(entry)),
                Choice::Skip => {}
                Choice::Defer(why) => self.deferred(&entry, why),
                Choice::Fail(error) => {
                    self.never_started(entry.path.as_bytes(), Some(entry.modified), error);
                }
            }
        }
        items
    }

    /// Offers files to the destination and decides what to do about each.
    pub(super) async fn plan_all(&self, items: Vec<Item>) -> Result<Vec<(Item, Step)>> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let offers = items.iter().map(offer).collect();
        let answers = self.destination.offer(offers).await?;
        let answers = complete(items.len(), answers, "offer")?;
        let mut planned = Vec::with_capacity(items.len());
        for (item, answer) in items.into_iter().zip(answers) {
            match answer {
                Ok(answer) => {
                    if let Present::Collides(other) = &answer.present {
                        collides(&item, other);
                    }
                    let step = plan::plan(&item, answer, self.options.on_conflict);
                    planned.extend(self.settle(item, step).await?);
                }
                Err(error) => self.ended_badly(&item, error, false).await?,
            }
        }
        Ok(planned)
    }

    /// Deals with the steps that need no work of their own; what is left is to be carried out.
    pub(super) async fn settle(&self, item: Item, step: Step) -> Result<Option<(Item, Step)>> {
        match step {
            Step::Fail(error) => self.ended_badly(&item, error, false).await.map(|()| None),
            Step::Stop(error) => {
                self.ended_badly(&item, error, false).await?;
                self.with_report(|report| report.stopped = Some(Stopped::Conflict));
                self.stop.cancel();
                Ok(None)
            }
            Step::Rename => self.rename(item).await,
            step => Ok(Some((item, step))),
        }
    }

    /// Offers a file once more, under a name that holds its hash.
    async fn rename(&self, mut item: Item) -> Result<Option<(Item, Step)>> {
        let renamed = match self.source_hash(&item).await {
            Ok(hash) => plan::renamed(&item.entry.path, &hash)
                .map_err(|error| Error::new(ErrorKind::Invalid, "renaming").because(error)),
            Err(error) => Err(error),
        };
        match renamed {
            Ok(target) => item.target = target,
            Err(error) => return self.ended_badly(&item, error, false).await.map(|()| None),
        }
        match self.offer_one(&item).await? {
            Ok(answer) => match plan::plan(&item, answer, OnConflict::Keep) {
                Step::Fail(error) => self.ended_badly(&item, error, false).await.map(|()| None),
                step => Ok(Some((item, step))),
            },
            Err(error) => self.ended_badly(&item, error, false).await.map(|()| None),
        }
    }

    pub(super) async fn offer_one(&self, item: &Item) -> Result<Result<Answer>> {
        let mut answers = self.destination.offer(vec![offer(item)]).await?;
        answers.pop().ok_or_else(|| missing_answer("offer"))
    }
}

pub(super) fn offer(item: &Item) -> Offer {
    Offer {
        path: item.target.clone(),
        link: item.link().is_some(),
        source: item.entry.version.clone(),
        size: item.entry.size,
        modified: item.entry.modified,
    }
}
