//! Batches that a service passes on to another.

use super::MAX_BATCH;
use crate::error::{Error, ErrorKind, Result};

/// Fails if a batch has more items than a batch may.
pub(crate) fn bounded<T>(batch: &[T]) -> Result<()> {
    if batch.len() <= MAX_BATCH {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Invalid,
        format!("a batch of more than {MAX_BATCH} items"),
    ))
}

/// Passes the items that stand to `call`, and answers for all in their order: those that fell keep
/// their error. Where all fell, nothing is called.
pub(crate) async fn pass<T, U, F>(
    items: Vec<Result<T>>,
    call: impl FnOnce(Vec<T>) -> F,
) -> Result<Vec<Result<U>>>
where
    F: Future<Output = Result<Vec<Result<U>>>>,
{
    bounded(&items)?;
    let mut standing = Vec::with_capacity(items.len());
    let marks: Vec<Result<()>> = items
        .into_iter()
        .map(|item| item.map(|item| standing.push(item)))
        .collect();
    let count = standing.len();
    let answers = if count == 0 && !marks.is_empty() {
        Vec::new()
    } else {
        call(standing).await?
    };
    if answers.len() != count {
        return Err(miscounted());
    }
    let mut answers = answers.into_iter();
    let answer =
        |mark: Result<()>| mark.and_then(|()| answers.next().unwrap_or_else(|| Err(miscounted())));
    Ok(marks.into_iter().map(answer).collect())
}

fn miscounted() -> Error {
    Error::new(
        ErrorKind::Protocol,
        "a batch was answered with not as many results as it has items",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fallen() -> Error {
        Error::new(ErrorKind::Forbidden, "fallen")
    }

    #[tokio::test]
    async fn answers_keep_the_order_of_the_items() {
        let items = vec![Ok(1), Err(fallen()), Ok(3), Err(fallen()), Ok(5)];
        let double = async |items: Vec<u32>| {
            assert_eq!(items, [1, 3, 5]);
            Ok(items.into_iter().map(|item| Ok(2 * item)).collect())
        };
        let answers = pass(items, double).await.unwrap();
        let answers: Vec<_> = answers.into_iter().map(Result::ok).collect();
        assert_eq!(answers, [Some(2), None, Some(6), None, Some(10)]);
    }

    #[tokio::test]
    async fn nothing_is_called_for_a_batch_that_fell() {
        let never = async |_: Vec<u32>| -> Result<Vec<Result<u32>>> { panic!("called") };
        let answers = pass(vec![Err(fallen())], never).await.unwrap();
        assert!(matches!(&answers[..], [Err(error)] if error.kind() == ErrorKind::Forbidden));
        let many = (0..=MAX_BATCH).map(|_| Err(fallen())).collect();
        let error = pass(many, never).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }

    #[tokio::test]
    async fn a_wrong_number_of_answers_is_an_error() {
        for count in [0, 2] {
            let call = async |_: Vec<u32>| Ok((0..count).map(Ok).collect());
            let error = pass(vec![Ok(1)], call).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol);
        }
    }
}
