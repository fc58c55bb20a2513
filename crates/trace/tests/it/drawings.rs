//! Drawings, character for character.

use std::time::Duration;

use longshore_core::Timestamp;
use longshore_instrument::Span;
use longshore_trace::{Chart, Colour, CriticalPath, DrawOptions, Story, TraceSummary, Waterfall};

use crate::charts::running_order;
use crate::shop::{at, backing_off, import, retried_order, span};

/// Draws the one story of `spans`, after a line break so that the expectation reads as drawn.
fn draw(spans: &[Span], width: usize, colour: Colour, unicode: bool) -> String {
    let stories = Story::stitch(spans);
    assert_eq!(stories.len(), 1);
    let options = DrawOptions {
        width,
        colour,
        unicode,
    };
    let drawn = stories
        .iter()
        .map(|story| Waterfall::new(story).draw(&options));
    format!("\n{}", drawn.collect::<String>())
}

#[test]
fn a_retried_order_in_120_columns() {
    let expected = r"
order.process  queue orders                                                            ✓ completed · 2 attempts · 15.7 s
waited 83.4 ms · ran 562 ms · backed off 15.0 s                                   trace 4bf92f3577b34da6a3ce929d0e0e4736

                                     0                200ms                      15.4s             15.6s
                                     ┬────────────────┬───────────────╱ 15.0s ╲──┬─────────────────┬───────────
POST /orders                         ▊                                ┊       ┊                                  9.40 ms
└─ queue.enqueue order.process       ▕                                ┊       ┊                                  1.20 ms
   ├─ queue.dequeue                  ░░░░░░                           ┊       ┊                                  52.2 ms
   ├─ job.process #1                      ▐███████████████████████████┊✗ payment_timeout                          310 ms
   │  ├─ handler.execution                ▐██████████████████████████▌┊✗ payment_timeout                          306 ms
   │  │  ├─ SELECT orders                 ▐                           ┊       ┊                                  4.70 ms
   │  │  └─ POST payments/charge          ▕██████████████████████████▌┊✗ timeout                                  300 ms
   │  └─ job.settle                                                  ▐┊       ┊                                  4.20 ms
   ├─ back-off                                                        ┄┄┄┄┄┄┄┄┄                                   15.0 s
   ├─ queue.dequeue                                                   ┊       ┊░░░                               31.2 ms
   └─ job.process #2                                                  ┊       ┊  ▕██████████████████████▏         252 ms
      ├─ handler.execution                                            ┊       ┊  ▕█████████████████████▉          249 ms
      │  ├─ SELECT orders                                             ┊       ┊  ▕▏                              3.70 ms
      │  ├─ POST payments/charge                                      ┊       ┊   ████████████████▎               182 ms
      │  └─ queue.enqueue email.send                                  ┊       ┊                   ▏              1.20 ms
      │     ├─ queue.dequeue                                          ┊       ┊                   ░░░░░          41.8 ms
      │     └─ job.process #1                                         ┊       ┊                       █████████  98.0 ms
      │        ├─ handler.execution                                   ┊       ┊                       ████████▋  94.4 ms
      │        └─ job.settle                                          ┊       ┊                               ▐  3.40 ms
      └─ job.settle                                                   ┊       ┊                        ▕▏        3.40 ms
";
    assert_eq!(draw(&retried_order(), 120, Colour::None, true), expected);
}

#[test]
fn a_part_of_the_time_is_drawn_with_the_rows_that_reach_into_it() {
    let spans = retried_order();
    let stories = Story::stitch(&spans);
    let options = DrawOptions {
        width: 100,
        ..DrawOptions::default()
    };
    let window = Waterfall::new(&stories[0])
        .within(Duration::from_millis(15_300), Duration::from_millis(15_450));
    let expected = r"
order.process  queue orders                                        ✓ completed · 2 attempts · 15.7 s
waited 83.4 ms · ran 562 ms · backed off 15.0 s               trace 4bf92f3577b34da6a3ce929d0e0e4736

from +15.3 s                     0              80ms        100ms       120ms       140ms
                                 ┬╱71.5ms ╲─────┬───────────┬───────────┬───────────┬──────
POST /orders                      ┊       ┊                                                  9.40 ms
└─ queue.enqueue order.process    ┊       ┊                                                  1.20 ms
   ├─ back-off                   ┄┄┄┄┄┄┄┄┄┄                                                   15.0 s
   ├─ queue.dequeue               ┊       ┊░░░░░░░░░░░░░░░░░░░                               31.2 ms
   └─ job.process #2              ┊       ┊                   █████████████████████████████   252 ms
      └─ handler.execution        ┊       ┊                   █████████████████████████████   249 ms
         ├─ SELECT orders         ┊       ┊                   ▐█▊                            3.70 ms
         └─ POST payments/charge  ┊       ┊                     ▕██████████████████████████   182 ms
";
    assert_eq!(format!("\n{}", window.draw(&options)), expected);
}

#[test]
fn a_retried_order_in_80_columns() {
    let expected = r"
order.process  queue orders                    ✓ completed · 2 attempts · 15.7 s
waited 83.4 ms · ran 562 ms · backed off 15.0 s
trace 4bf92f3577b34da6a3ce929d0e0e4736

                                 0        250ms         15.4s
                                 ┬────────┬────╱ 15.0s ╲┬──────────────
POST /orders                     ▎             ┊       ┊                 9.40 ms
└ queue.enqueue order.process    ▏             ┊       ┊                 1.20 ms
  ├ queue.dequeue                ░░░           ┊       ┊                 52.2 ms
  ├ job.process #1                 ████████████┊✗ payment_timeout         310 ms
  │ ├ handler.execution            ███████████▊┊✗ payment_timeout         306 ms
  │ │ ├ SELECT orders              ▎           ┊       ┊                 4.70 ms
  │ │ └ POST payments/charge       ▐██████████▊┊✗ timeout                 300 ms
  │ └ job.settle                              ▕┊       ┊                 4.20 ms
  ├ back-off                                   ┄┄┄┄┄┄┄┄┄                  15.0 s
  ├ queue.dequeue                              ┊       ┊░░               31.2 ms
  └ job.process #2                             ┊       ┊ ██████████▊      252 ms
    ├ handler.execution                        ┊       ┊ ██████████▋      249 ms
    │ ├ SELECT orders                          ┊       ┊ ▏               3.70 ms
    │ ├ POST payments/charge                   ┊       ┊ ▐███████         182 ms
    │ └ queue.enqueue email.send               ┊       ┊         ▏       1.20 ms
    │   ├ queue.dequeue                        ┊       ┊         ░░      41.8 ms
    │   └ job.process #1                       ┊       ┊          ▕████  98.0 ms
    │     ├ handler.execution                  ┊       ┊          ▕███▊  94.4 ms
    │     └ job.settle                         ┊       ┊              ▕  3.40 ms
    └ job.settle                               ┊       ┊           ▕     3.40 ms
";
    assert_eq!(draw(&retried_order(), 80, Colour::None, true), expected);
}

#[test]
fn a_retried_order_in_40_columns() {
    let expected = r"
order.process  queue orders
✓ completed · 2 attempts · 15.7 s
waited 83.4 ms · ran 562 ms
backed off 15.0 s
trace 4bf92f3577b34da6a3ce929d0e0e4736

0         250ms         15.4s
┬─────────┬────╱ 15.0s ╲┬───────────────
POST /orders                     9.40 ms
▍              ┊       ┊
└ queue.enqueue order.process    1.20 ms
▏              ┊       ┊
  ├ queue.dequeue                52.2 ms
░░░            ┊       ┊
  ├ job.process #1 ✗ payment_tim… 310 ms
  ▐████████████┊       ┊
  │ ├ handler.execution ✗ paymen… 306 ms
  ▐███████████▊┊       ┊
  │ │ ├ SELECT orders            4.70 ms
  ▕            ┊       ┊
  │ │ └ POST payments/charge ✗ t… 300 ms
  ▐███████████▊┊       ┊
  │ └ job.settle                 4.20 ms
              ▕┊       ┊
  ├ back-off                      15.0 s
               ┄┄┄┄┄┄┄┄┄
  ├ queue.dequeue                31.2 ms
               ┊       ┊░░
  └ job.process #2                252 ms
               ┊       ┊ ▐██████████▌
    ├ handler.execution           249 ms
               ┊       ┊ ▐██████████▍
    │ ├ SELECT orders            3.70 ms
               ┊       ┊ ▏
    │ ├ POST payments/charge      182 ms
               ┊       ┊ ▐███████▋
    │ └ queue.enqueue email.send 1.20 ms
               ┊       ┊         ▕
    │   ├ queue.dequeue          41.8 ms
               ┊       ┊         ░░░
    │   └ job.process #1         98.0 ms
               ┊       ┊           ▐████
…  │     ├ handler.execution     94.4 ms
               ┊       ┊           ▐███▊
…  │     └ job.settle            3.40 ms
               ┊       ┊               ▕
    └ job.settle                 3.40 ms
               ┊       ┊            ▏
";
    assert_eq!(draw(&retried_order(), 40, Colour::None, true), expected);
}

#[test]
fn a_retried_order_in_ascii() {
    let expected = r"
order.process  queue orders                                        + completed - 2 attempts - 15.7 s
waited 83.4 ms - ran 562 ms - backed off 15.0 s               trace 4bf92f3577b34da6a3ce929d0e0e4736

                                     0          200ms                15.4s        15.6s
                                     +----------+----------/ 15.0s \-+------------+--------
POST /orders                         |                     :       :                         9.40 ms
`- queue.enqueue order.process       |                     :       :                         1.20 ms
   |- queue.dequeue                  ....                  :       :                         52.2 ms
   |- job.process #1                    ###################:x payment_timeout                 310 ms
   |  |- handler.execution              ###################:x payment_timeout                 306 ms
   |  |  |- SELECT orders               |                  :       :                         4.70 ms
   |  |  `- POST payments/charge        ###################:x timeout                         300 ms
   |  `- job.settle                                       |:       :                         4.20 ms
   |- back-off                                             ---------                          15.0 s
   |- queue.dequeue                                        :       :..                       31.2 ms
   `- job.process #2                                       :       : ##################       252 ms
      |- handler.execution                                 :       :  ################        249 ms
      |  |- SELECT orders                                  :       :  |                      3.70 ms
      |  |- POST payments/charge                           :       :  ############            182 ms
      |  `- queue.enqueue email.send                       :       :             |           1.20 ms
      |     |- queue.dequeue                               :       :              ...        41.8 ms
      |     `- job.process #1                              :       :                #######  98.0 ms
      |        |- handler.execution                        :       :                #######  94.4 ms
      |        `- job.settle                               :       :                      |  3.40 ms
      `- job.settle                                        :       :                 ||      3.40 ms
";
    assert_eq!(draw(&retried_order(), 100, Colour::None, false), expected);
}

#[test]
fn many_folds_say_no_more_than_that_they_are_there() {
    let expected = r"
order.process  queue orders                                        ✓ completed · 6 attempts · 6m 04s
waited 24.0 ms · ran 720 ms · backed off 6m 03s               trace 4bf92f3577b34da6a3ce929d0e0e4736

                            0         3.12s      12.2s      39.4s      2m00s      6m04s
                            ┬───────╱╲┬────────╱╲┬────────╱╲┬────────╱╲┬────────╱╲┬────────
queue.enqueue order.process ▏       ┊┊         ┊┊         ┊┊         ┊┊         ┊┊            900 µs
├─ queue.dequeue            ▎       ┊┊         ┊┊         ┊┊         ┊┊         ┊┊           4.00 ms
├─ job.process #1           ████████┊✗ payment_timeout    ┊┊         ┊┊         ┊┊            120 ms
├─ back-off                         ┄┄         ┊┊         ┊┊         ┊┊         ┊┊            3.00 s
├─ queue.dequeue                    ┊┊▎        ┊┊         ┊┊         ┊┊         ┊┊           4.00 ms
├─ job.process #2                   ┊┊█████████┊✗ payment_timeout    ┊┊         ┊┊            120 ms
├─ back-off                         ┊┊         ┄┄         ┊┊         ┊┊         ┊┊            9.00 s
├─ queue.dequeue                    ┊┊         ┊┊▎        ┊┊         ┊┊         ┊┊           4.00 ms
├─ job.process #3                   ┊┊         ┊┊█████████┊✗ payment_timeout    ┊┊            120 ms
├─ back-off                         ┊┊         ┊┊         ┄┄         ┊┊         ┊┊            27.0 s
├─ queue.dequeue                    ┊┊         ┊┊         ┊┊▎        ┊┊         ┊┊           4.00 ms
├─ job.process #4                   ┊┊         ┊┊         ┊┊█████████┊✗ payment_timeout       120 ms
├─ back-off                         ┊┊         ┊┊         ┊┊         ┄┄         ┊┊            1m 21s
├─ queue.dequeue                    ┊┊         ┊┊         ┊┊         ┊┊▎        ┊┊           4.00 ms
├─ job.process #5                   ┊┊         ┊┊    ✗ payment_timeout┊█████████┊┊            120 ms
├─ back-off                         ┊┊         ┊┊         ┊┊         ┊┊         ┄┄            4m 03s
├─ queue.dequeue                    ┊┊         ┊┊         ┊┊         ┊┊         ┊┊▎          4.00 ms
└─ job.process #6                   ┊┊         ┊┊         ┊┊         ┊┊         ┊┊█████████   120 ms
";
    assert_eq!(draw(&backing_off(), 100, Colour::None, true), expected);
}

#[test]
fn siblings_of_one_name_are_folded_under_a_parent_that_is_missing() {
    let expected = r"
catalogue.import  queue imports                ✓ completed · 1 attempt · 98.0 ms
waited 1.50 ms · ran 95.6 ms              trace 4bf92f3577b34da6a3ce929d0e0e4736

                                 0        25ms      50ms      75ms
                                 ┬────────┬─────────┬─────────┬────────
parent not received 00f067aa     ┄
└ queue.enqueue catalogue.import ▎                                        900 µs
  ├ queue.dequeue                ▋                                       1.50 ms
  └ job.process #1               ▕█████████████████████████████████████  95.6 ms
    ├ handler.execution          ▕████████████████████████████████████▏  93.5 ms
    │ └ ×12 INSERT items          ▒▒ ▒▒▒▒ ▒▒ ▒▒ ▒▒▒▒ ▒▒ ▒▒▒▒ ▒▒ ▒▒       79.6 ms
    └ job.settle                                                      █  1.80 ms
";
    assert_eq!(draw(&import(), 80, Colour::None, true), expected);
}

#[test]
fn a_span_that_began_before_the_clock_and_never_ends_is_drawn() {
    let mut forever = span(1, None, "forever", 0, 0);
    forever.start = Timestamp::from_unix_nanos(i64::MIN);
    forever.end = Timestamp::MAX;
    let expected = r"
forever                                           ✓ no error · 106751d 23h
trace 4bf92f3577b34da6a3ce929d0e0e4736
";
    let drawn = draw(&[forever], 74, Colour::None, true);
    assert!(drawn.starts_with(expected), "{drawn}");
}

#[test]
fn colours_only_when_asked() {
    let coloured = draw(&import(), 80, Colour::Ansi, true);
    assert!(coloured.contains("\x1b[1mcatalogue.import\x1b[0m"));
    assert!(!draw(&import(), 80, Colour::None, true).contains('\x1b'));
}

/// Draws a chart with what its end waited for.
fn draw_chart(chart: &Chart, summary: &TraceSummary, width: usize, unicode: bool) -> String {
    let path = CriticalPath::of(chart);
    let waterfall = Waterfall::of_chart(chart, summary).with_path(&path);
    let options = DrawOptions {
        width,
        unicode,
        ..DrawOptions::default()
    };
    format!("\n{}", waterfall.draw(&options))
}

#[test]
fn what_the_end_waited_for_is_marked() {
    let spans = retried_order();
    let chart = Chart::of(&spans, &[], at(0));
    let summary = TraceSummary::of_story(&spans).unwrap();
    let expected = r"
order.process  queue orders                                        ✓ completed · 2 attempts · 15.7 s
waited 83.4 ms · ran 562 ms · backed off 15.0 s               trace 4bf92f3577b34da6a3ce929d0e0e4736

                                     0          200ms               15.4s       15.6s
                                     ┬──────────┬─────────╱ 15.0s ╲─┬───────────┬────────
POST /orders                         ▌                    ┊       ┊                        9.40 ms
└─ queue.enqueue order.process       ▏                    ┊       ┊                        1.20 ms
   ├─ queue.dequeue                  ░░░░                 ┊       ┊                        52.2 ms
   ├─ job.process #1                    ▐█████████████████┊✗ payment_timeout                310 ms
   │  ├─ handler.execution              ▐████████████████▊┊✗ payment_timeout                306 ms
   │  │  ├─ SELECT orders               ▕                 ┊       ┊                        4.70 ms
   │  │  └─ POST payments/charge        ▕████████████████▊┊✗ timeout                        300 ms ◆
   │  └─ job.settle                                      ▕┊       ┊                        4.20 ms
   ├─ back-off                                            ┄┄┄┄┄┄┄┄┄                         15.0 s ◆
   ├─ queue.dequeue                                       ┊       ┊░░                      31.2 ms
   └─ job.process #2                                      ┊       ┊ ▕███████████████▎       252 ms
      ├─ handler.execution                                ┊       ┊ ▕███████████████▏       249 ms
      │  ├─ SELECT orders                                 ┊       ┊ ▕▏                     3.70 ms
      │  ├─ POST payments/charge                          ┊       ┊  ███████████▎           182 ms ◆
      │  └─ queue.enqueue email.send                      ┊       ┊             ▏          1.20 ms
      │     ├─ queue.dequeue                              ┊       ┊             ░░░        41.8 ms
      │     └─ job.process #1                             ┊       ┊                ██████  98.0 ms
      │        ├─ handler.execution                       ┊       ┊                █████▊  94.4 ms
      │        └─ job.settle                              ┊       ┊                     ▕  3.40 ms
      └─ job.settle                                       ┊       ┊                 ▏      3.40 ms

◆ what the end waited for
";
    assert_eq!(draw_chart(&chart, &summary, 100, true), expected);
}

#[test]
fn a_running_job_is_drawn_with_what_its_record_says() {
    let (spans, job) = running_order();
    let chart = Chart::of(&spans, std::slice::from_ref(&job), at(3_000_000));
    let summary = TraceSummary::of_story(&spans).unwrap();
    let expected = r"
order.process  queue orders                                ▸ running · 3 attempts · 2.99 s
waited 190 ms · ran 1.85 s · backed off 900 ms      trace 4bf92f3577b34da6a3ce929d0e0e4736

                                  0              1s             2s
                                  ┬──────────────┬──────────────┬──────────────
queue.enqueue order.process       ▏                                              1.20 ms
├─ scheduled                      ┄                                              52.0 ms ◆
├─ wait                           ▕▍                                             40.0 ms ◆
├─ job.process #1                  ▐█████▍                                        400 ms ◆
├─ back-off                              ┄┄┄┄┄┄┄                                  400 ms ◆
├─ wait                                        ▐▏                                50.0 ms ◆
├─ job.process #2 (worker lost)                 ████████▍ ✗ timeout               550 ms ◆
├─ back-off                                             ┄┄┄┄┄┄┄┄                  500 ms ◆
├─ wait                                                        ░░░                100 ms ◆
└─ job.process #3 (running)                                      ▐█████████████   900 ms
   └─ handler.execution (running)                                ▐█████████████   900 ms ◆
      └─ SELECT orders                                           ▏                700 µs

◆ what the end waited for
";
    assert_eq!(draw_chart(&chart, &summary, 90, true), expected);
    let expected = r"
order.process  queue orders
> running - 3 attempts - 2.99 s
waited 190 ms - ran 1.85 s
backed off 900 ms
trace 4bf92f3577b34da6a3ce929d0e0e4736

0             1s             2s
+-------------+--------------+--------------
queue.enqueue order.process        1.20 ms
|
|-scheduled                        52.0 ms *
-
|-wait                             40.0 ms *
||
|-job.process #1                    400 ms *
 #######
|-back-off                          400 ms *
       ------
|-wait                             50.0 ms *
             |
|-job.process #2 (worker lost) x t~ 550 ms *
             #########
|-back-off                          500 ms *
                     ---------
|-wait                              100 ms *
                             ..
`-job.process #3 (running)          900 ms
                              ##############
  `-handler.execution (running)     900 ms *
                              ##############
    `-SELECT orders                 700 us
                              |

* what the end waited for
";
    assert_eq!(draw_chart(&chart, &summary, 44, false), expected);
}

#[test]
fn a_job_without_spans_is_drawn() {
    let (_, job) = running_order();
    let trace = job.trace.context().unwrap().unwrap().trace_id;
    let chart = Chart::of(&[], std::slice::from_ref(&job), at(3_000_000));
    let expected = r"
order.process                                              ▸ running · 3 attempts · 2.99 s
waited 190 ms · ran 1.85 s · backed off 900 ms      trace 4bf92f3577b34da6a3ce929d0e0e4736

                                     0             1s            2s
                                     ┬─────────────┬─────────────┬─────────────
queue.enqueue order.process (no spa… ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
├─ scheduled                         ┄                                           52.0 ms ◆
├─ wait                              ▐▎                                          40.0 ms ◆
├─ job.process #1 (no span)           █████▉ ✗ timeout                            400 ms ◆
├─ back-off                                ┄┄┄┄┄┄┄                                400 ms ◆
├─ wait                                          ▐▏                              50.0 ms ◆
├─ job.process #2 (worker lost)                   ███████▉ ✗ timeout              550 ms ◆
├─ back-off                                              ┄┄┄┄┄┄┄┄                 500 ms ◆
├─ wait                                                         ░░░               100 ms ◆
└─ job.process #3 (running)                                       █████████████   900 ms ◆

◆ what the end waited for
";
    assert_eq!(
        draw_chart(&chart, &TraceSummary::unknown(trace), 90, true),
        expected
    );
}
