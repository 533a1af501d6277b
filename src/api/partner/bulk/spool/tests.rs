use proptest::prelude::*;

use super::*;

const PATIENCE: Duration = Duration::from_secs(5);

fn piece(number: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| (number * 31 + at) as u8).collect()
}

async fn all(reader: &Reader) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(piece) = reader.take().await.unwrap() {
        bytes.extend_from_slice(&piece);
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn what_is_put_comes_out_in_order_however_the_two_take_turns(
        turns in proptest::collection::vec((0..200_000_usize, 0..4_usize), 0..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let room = Room::new(u64::MAX);
            let (writer, reader) = spool(&room, PATIENCE);
            let (mut put, mut taken) = (Vec::new(), Vec::new());
            for (number, (length, takes)) in turns.into_iter().enumerate() {
                let piece = piece(number, length);
                put.extend_from_slice(&piece);
                writer.put(piece).await.unwrap();
                for _ in 0..takes {
                    if taken.len() < put.len() {
                        taken.extend_from_slice(&reader.take().await.unwrap().unwrap());
                    }
                }
            }
            let (rest, ()) = tokio::join!(all(&reader), writer.finish());
            taken.extend(rest);
            assert!(taken == put);
            assert_eq!(room.used(), 0);
        });
    }
}

#[tokio::test]
async fn a_client_may_write_everything_before_it_reads() {
    let room = Room::new(1 << 30);
    let (writer, reader) = spool(&room, PATIENCE);
    for number in 0..100 {
        writer.put(piece(number, 100_000)).await.unwrap();
    }
    assert!(reader.0.state().kept <= MEMORY && room.used() > 9_000_000);
    let (bytes, ()) = tokio::join!(all(&reader), writer.finish());
    assert_eq!(bytes, (0..100).flat_map(|number| piece(number, 100_000)).collect::<Vec<_>>());
    assert_eq!(room.used(), 0);
}

#[tokio::test]
async fn without_room_the_writing_end_waits_for_the_reading_one() {
    let room = Room::new(0);
    let (writer, reader) = spool(&room, PATIENCE);
    let writing = async {
        for number in 0..50 {
            writer.put(piece(number, 100_000)).await.unwrap();
        }
        assert!(writer.0.state().file.is_none());
        writer.finish().await;
    };
    let (bytes, ()) = tokio::join!(all(&reader), writing);
    assert_eq!(bytes.len(), 5_000_000);
}

#[tokio::test]
async fn what_nobody_takes_is_given_up_and_leaves_nothing() {
    let room = Room::new(300_000);
    let (writer, reader) = spool(&room, Duration::from_millis(300));
    let mut put = 0;
    while writer.put(piece(put, 100_000)).await.is_ok() {
        put += 1;
    }
    assert!((3..10).contains(&put), "{put}");
    drop(writer);
    assert_eq!(reader.take().await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(room.used(), 0);

    let (writer, reader) = spool(&room, Duration::from_millis(300));
    writer.put(piece(1, 10)).await.unwrap();
    writer.finish().await;
    assert!(reader.take().await.is_err(), "nobody read it in time");
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_the_writer() {
    let room = Room::new(1 << 30);
    let (writer, reader) = spool(&room, PATIENCE);
    for number in 0..10 {
        writer.put(piece(number, 100_000)).await.unwrap();
    }
    drop(reader);
    assert_eq!(writer.put(piece(0, 1)).await, Err(Gone));
    assert_eq!(room.used(), 0);
    writer.finish().await;
}
