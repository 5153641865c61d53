//! The picture for people who would rather look than read: where each part of the file lies on its device.
//!
//! Offsets in the file run to the right, offsets on the device upwards: a file in one piece is one slanted line, a file
//! in pieces is a scatter. Below are lanes for what has no place on the device, and for what is refused. The picture
//! is drawn from a grid, so its size is bounded by the grid's: neighbours of one look are one stroke of some ten bytes,
//! and no cell is in more than two strokes.

use std::fmt::{self, Write};
use std::path::Path;

use swap_dio::linux::Examination;
use swap_dio::{Bytes, FileExtent, Verdict};

use crate::grid::{COLUMNS, Column, Grid, Look, ROWS, edge};
use crate::refusals::{Refusals, Rung};
use crate::{human, quote};

/// Pixels of a cell's side.
const CELL: usize = 4;
const LEFT: usize = 132;
const TOP: usize = 104;
const WIDTH: usize = LEFT + COLUMNS * CELL + 36;
const PLOT: usize = ROWS * CELL;
const LANE: usize = 16;
/// The first lane's top, below the plot.
const LANES: usize = TOP + PLOT + 10;
const LEGEND: usize = LANES + 4 * LANE + 78;
const LINE: usize = 21;
/// More codes than a picture has room for are counted, not named.
const MOST_CAUSES: usize = 12;

/// Draws a file that was examined in full; `walk` hands out its extents, as often as it is asked.
pub(crate) fn draw<E>(
    path: &Path,
    found: &Examination,
    walk: impl FnMut(&mut dyn FnMut(FileExtent)) -> Result<(), E>,
) -> Result<String, E> {
    let refusals = Refusals::of(found);
    let grid = Grid::new(found.size.get(), &refusals, walk)?;
    let mut picture = Picture { out: String::new(), grid, refusals };
    // A string takes whatever is written to it.
    let _ = picture.all(path, found);
    Ok(picture.out)
}

struct Picture {
    out: String,
    grid: Grid,
    refusals: Refusals,
}

impl Picture {
    fn all(&mut self, path: &Path, found: &Examination) -> fmt::Result {
        let looks = Look::ALL.into_iter().filter(|look| self.grid.total(*look).runs > 0).count();
        let causes = self.refusals.causes.len().clamp(1, MOST_CAUSES + 1);
        let height = LEGEND + looks.max(causes) * LINE + 8;
        let name = quote::path(path);
        let title = escape(&format!("{name}: where its extents lie"));
        writeln!(
            self.out,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">"#
        )?;
        writeln!(self.out, "<title>{title}</title>\n<style>{STYLE}</style>\n{HATCHES}")?;
        writeln!(self.out, r#"<rect class="paper" width="{WIDTH}" height="{height}" rx="8"/>"#)?;
        self.heading(&name, found)?;
        self.frame()?;
        self.cells()?;
        self.lanes()?;
        self.hover()?;
        self.legend()?;
        writeln!(self.out, "</svg>")
    }

    fn heading(&mut self, name: &str, found: &Examination) -> fmt::Result {
        self.text(LEFT, 36, "name", &shorten(name, 88))?;
        let size = human::rough(found.size);
        let about = format!("{}, {size}. swapon {}.", found.filesystem, human::foretell(&found.kernel, found));
        self.text(LEFT, 60, "about", &shorten(&about, 130))?;
        let mut x = LEFT;
        for (model, judgement) in [("bio", &found.bio), ("file", &found.file)] {
            let verdict = judgement.verdict();
            let class = match verdict {
                Verdict::Admit => "yes",
                Verdict::Retry => "wait",
                Verdict::Refuse => "no",
            };
            writeln!(
                self.out,
                r#"<text x="{x}" y="83" class="about">{model} <tspan class="{class}">{}</tspan></text>"#,
                verdict.word()
            )?;
            x += 110;
        }
        Ok(())
    }

    /// Axes, lines at round sizes, and the columns that are nothing but hole.
    fn frame(&mut self) -> fmt::Result {
        let (right, bottom) = (LEFT + COLUMNS * CELL, TOP + PLOT);
        writeln!(self.out, r#"<rect class="plot" x="{LEFT}" y="{TOP}" width="{}" height="{PLOT}"/>"#, right - LEFT)?;
        let size = self.grid.size;
        let is_empty =
            |column: &Column| Look::ALL.into_iter().all(|look| look == Look::Hole || column.amount(look).runs == 0);
        let bands = runs(|column| (size > 0 && is_empty(&self.grid.columns[column])).then_some(()));
        for (first, count, ()) in bands {
            let (x, width) = (LEFT + first * CELL, count * CELL);
            writeln!(self.out, r#"<rect class="band" x="{x}" y="{TOP}" width="{width}" height="{PLOT}"/>"#)?;
        }
        let lanes_end = LANES + 4 * LANE;
        for tick in ticks(0, size) {
            let x = LEFT + at(tick, size, COLUMNS * CELL);
            writeln!(self.out, r#"<path class="line" d="M{x} {TOP}V{}"/>"#, lanes_end + 4)?;
            self.text(x, lanes_end + 20, "middle", &exact(tick))?;
        }
        self.text(LEFT + COLUMNS * CELL / 2, lanes_end + 44, "middle axis", "offset in the file")?;
        if let Some((low, high)) = self.grid.device {
            for tick in ticks(low, high) {
                let y = bottom - at(tick - low, high - low, PLOT);
                writeln!(self.out, r#"<path class="line" d="M{} {y}H{right}"/>"#, LEFT - 4)?;
                self.text(LEFT - 8, y + 4, "end", &exact(tick))?;
            }
        } else {
            let why = if size == 0 { "an empty file" } else { "no device address is known for any part of this file" };
            self.text(LEFT + COLUMNS * CELL / 2, TOP + PLOT / 2, "middle axis", why)?;
        }
        let y = TOP + PLOT / 2;
        writeln!(
            self.out,
            r#"<text class="middle axis" transform="translate(26 {y}) rotate(-90)">offset on the device</text>"#
        )
    }

    /// One path a look: what is admitted below, what is refused above it, each with a rim.
    fn cells(&mut self) -> fmt::Result {
        writeln!(self.out, r#"<g class="cells" transform="translate({LEFT} {TOP}) scale({CELL}) translate(.5 .5)">"#)?;
        for rung in Rung::ALL {
            if rung != Rung::Admitted {
                let rim = if rung == Rung::Bio { "rim bio" } else { "rim file" };
                self.strokes(rim, |cell| cell.1 == rung)?;
            }
            for look in Look::ALL {
                self.strokes(look.word(), |cell| cell == (look, rung))?;
            }
        }
        writeln!(self.out, "</g>")
    }

    fn strokes(&mut self, class: &str, wanted: impl Fn((Look, Rung)) -> bool) -> fmt::Result {
        let mut path = String::new();
        for row in 0..ROWS {
            let y = ROWS - 1 - row;
            for (first, count, ()) in runs(|column| self.grid.cell(column, row).is_some_and(&wanted).then_some(())) {
                write!(path, "M{first} {y}h{}", count - 1)?;
            }
        }
        if path.is_empty() { Ok(()) } else { writeln!(self.out, r#"<path class="{class}" d="{path}"/>"#) }
    }

    fn lanes(&mut self) -> fmt::Result {
        let mut unplaced = Look::ALL.to_vec();
        unplaced.retain(|look| *look != Look::Hole);
        let unplaced_in = |grid: &Grid, column: usize| {
            unplaced.iter().copied().find(|look| grid.columns[column].unplaced[*look as usize]).map(Look::word)
        };
        let hole_in = |grid: &Grid, column: usize| {
            (grid.columns[column].amount(Look::Hole).runs > 0).then_some(Look::Hole.word())
        };
        let lanes: [(&str, Vec<_>); 4] = [
            ("hole", runs(|column| hole_in(&self.grid, column))),
            ("address unknown", runs(|column| unplaced_in(&self.grid, column))),
            ("refused for bio", runs(|column| self.refusals.in_column(true, column).then_some("no-bio"))),
            ("refused for file", runs(|column| self.refusals.in_column(false, column).then_some("no-file"))),
        ];
        for (index, (name, marks)) in lanes.into_iter().enumerate() {
            let y = LANES + index * LANE;
            let (width, height) = (COLUMNS * CELL, LANE - 4);
            writeln!(self.out, r#"<rect class="lane" x="{LEFT}" y="{y}" width="{width}" height="{height}"/>"#)?;
            self.text(LEFT - 8, y + 10, "end", name)?;
            for (first, count, class) in marks {
                let (x, width) = (LEFT + first * CELL, count * CELL);
                writeln!(
                    self.out,
                    r#"<rect class="mark {class}" x="{x}" y="{y}" width="{width}" height="{height}"/>"#
                )?;
            }
        }
        Ok(())
    }

    /// A strip over each column that tells what is in it.
    fn hover(&mut self) -> fmt::Result {
        let height = LANES + 4 * LANE - TOP;
        for column in 0..if self.grid.size == 0 { 0 } else { COLUMNS } {
            let (from, to) = (edge(column, self.grid.size, COLUMNS), edge(column + 1, self.grid.size, COLUMNS));
            let mut words = format!("{} to {}", human::rough(Bytes::new(from)), human::rough(Bytes::new(to)));
            for look in Look::ALL {
                let amount = self.grid.columns[column].amount(look);
                if amount.runs > 0 {
                    write!(
                        words,
                        "\n{} {}: {}",
                        grouped(amount.runs),
                        look.word(),
                        human::rough(Bytes::new(amount.bytes))
                    )?;
                }
            }
            for cause in self.refusals.causes.iter().filter(|cause| cause.columns[column]).take(MOST_CAUSES) {
                write!(words, "\nrefused: {}", cause.code)?;
            }
            writeln!(
                self.out,
                r#"<rect class="hover" x="{}" y="{TOP}" width="{CELL}" height="{height}"><title>{}</title></rect>"#,
                LEFT + column * CELL,
                escape(&words)
            )?;
        }
        Ok(())
    }

    fn legend(&mut self) -> fmt::Result {
        let mut y = LEGEND;
        for look in Look::ALL {
            let amount = self.grid.total(look);
            if amount.runs == 0 {
                continue;
            }
            writeln!(
                self.out,
                r#"<rect class="swatch {}" x="{LEFT}" y="{}" width="14" height="14"/>"#,
                look.word(),
                y - 11
            )?;
            self.text(LEFT + 22, y, "", look.word())?;
            let (runs, noun) = (grouped(amount.runs), if look == Look::Hole { "hole" } else { "extent" });
            let plural = if amount.runs == 1 { "" } else { "s" };
            self.text(
                LEFT + 104,
                y,
                "",
                &format!("{runs} {noun}{plural}, {}", human::rough(Bytes::new(amount.bytes))),
            )?;
            y += LINE;
        }
        let (x, mut y) = (LEFT + 330, LEGEND);
        if self.refusals.causes.is_empty() {
            return self.text(x, y, "", "nothing is refused");
        }
        for cause in self.refusals.causes.clone().into_iter().take(MOST_CAUSES) {
            let class = if cause.bio { "bio" } else { "file" };
            let whose = match (cause.bio, cause.file) {
                (true, true) => "bio and file",
                (true, false) => "bio only",
                _ => "file only",
            };
            let ranges = match cause.ranges.runs {
                0 => "the whole file".to_owned(),
                1 => format!("1 range, {}", human::rough(Bytes::new(cause.ranges.bytes))),
                runs => format!("{} ranges, {}", grouped(runs), human::rough(Bytes::new(cause.ranges.bytes))),
            };
            let word = if cause.verdict == Verdict::Retry { "refused for now" } else { "refused" };
            writeln!(
                self.out,
                r#"<rect class="swatch no-{class}" x="{x}" y="{}" width="14" height="14"><title>{}</title></rect>"#,
                y - 11,
                escape(&cause.words)
            )?;
            let code = escape(cause.code);
            let said = escape(&format!("{word} for {whose}: {ranges}"));
            writeln!(
                self.out,
                r#"<text x="{}" y="{y}"><tspan class="code">{code}</tspan>  {said}<title>{}</title></text>"#,
                x + 22,
                escape(&cause.words)
            )?;
            y += LINE;
        }
        let more = self.refusals.causes.len().saturating_sub(MOST_CAUSES);
        if more > 0 { self.text(x + 22, y, "", &format!("and {more} more reasons")) } else { Ok(()) }
    }

    fn text(&mut self, x: usize, y: usize, class: &str, words: &str) -> fmt::Result {
        writeln!(self.out, r#"<text x="{x}" y="{y}" class="{class}">{}</text>"#, escape(words))
    }
}

/// Neighbouring columns with the same mark: the first, how many, and the mark.
fn runs<T: Copy + PartialEq>(mark: impl Fn(usize) -> Option<T>) -> Vec<(usize, usize, T)> {
    let mut runs: Vec<(usize, usize, T)> = Vec::new();
    for column in 0..COLUMNS {
        let Some(found) = mark(column) else { continue };
        match runs.last_mut() {
            Some((first, count, same)) if *first + *count == column && *same == found => *count += 1,
            _ => runs.push((column, 1, found)),
        }
    }
    runs
}

/// Round sizes between two, some four to eight: multiples of a power of two.
fn ticks(low: u64, high: u64) -> impl Iterator<Item = u64> {
    let step = (high.saturating_sub(low) / 8).max(1).checked_next_power_of_two().unwrap_or(1 << 63);
    let first = low.div_ceil(step);
    (first..=high / step).map(move |count| count * step).filter(move |tick| *tick <= high).take(14)
}

/// A place of a whole, in so many pixels.
fn at(place: u64, whole: u64, pixels: usize) -> usize {
    usize::try_from(u128::from(place) * pixels as u128 / u128::from(whole.max(1))).unwrap_or(0)
}

/// A round size in the largest unit that says it in whole numbers.
fn exact(bytes: u64) -> String {
    let mut value = bytes;
    for unit in ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"] {
        if value == 0 || value % 1024 != 0 {
            return if value == 0 { "0".to_owned() } else { format!("{} {unit}", grouped(value)) };
        }
        value /= 1024;
    }
    format!("{} EiB", grouped(value))
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// At most so many letters: the middle is left out.
fn shorten(text: &str, most: usize) -> String {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= most {
        return text.to_owned();
    }
    let half = most / 2;
    let (start, end) = (&letters[..half], &letters[letters.len() - half + 1..]);
    start.iter().chain(&['…']).chain(end).collect()
}

/// For text in XML, which has no way to say most control characters.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            _ if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            _ => out.push(letter),
        }
    }
    out
}

/// Colours that differ in lightness as well, for eyes that do not see them all.
const STYLE: &str = "
text{font:13px system-ui,sans-serif;fill:#24292f}
.name{font:600 17px ui-monospace,monospace}
.about{font-size:14px}
.yes{fill:#1a7f37;font-weight:600}.wait{fill:#9a6700;font-weight:600}.no{fill:#c1121f;font-weight:600}
.code{font-family:ui-monospace,monospace;font-weight:600}
.middle{text-anchor:middle}.end{text-anchor:end}.axis{fill:#57606a;paint-order:stroke;stroke:#fff;stroke-width:4}
.paper{fill:#fff;stroke:#d0d7de}
.plot{fill:#fbfcfd;stroke:#afb8c1}
.line{stroke:#d8dee4;fill:none}
.lane{fill:#f3f4f6}
.band{fill:url(#hole);opacity:.35}
.cells path{fill:none;stroke-linecap:square;stroke-width:1}
.cells .rim{stroke-width:1.9}
.rim.bio{stroke:#d1001f}.rim.file{stroke:#e08700}
.cells .written{stroke:#0a5ea8}.written{fill:#0a5ea8}
.cells .unwritten{stroke:#7cc0ee}.unwritten{fill:#7cc0ee}
.cells .shared{stroke:#a5469b}.shared{fill:#a5469b}
.cells .encoded{stroke:#7a5c00}.encoded{fill:#7a5c00}
.cells .delayed{stroke:#d9c400}.delayed{fill:#d9c400}
.cells .inline{stroke:#00856a}.inline{fill:#00856a}
.mark.hole,.swatch.hole{fill:url(#hole)}
.no-bio{fill:url(#bio);stroke:#d1001f;stroke-width:.8}
.no-file{fill:url(#file);stroke:#e08700;stroke-width:.8}
.hover{fill:transparent}.hover:hover{fill:#0003}
";

const HATCHES: &str = r##"<defs>
<pattern id="hole" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" fill="#d0d7de"/><path d="M-1 7L7 -1M-1 1L1 -1M5 7L7 5" stroke="#8c959f"/></pattern>
<pattern id="bio" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" fill="#fde8ea"/><path d="M-1 7L7 -1M-1 1L1 -1M5 7L7 5" stroke="#d1001f" stroke-width="1.6"/></pattern>
<pattern id="file" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" fill="#fff3e0"/><path d="M-1 7L7 -1M-1 1L1 -1M5 7L7 5" stroke="#e08700" stroke-width="1.6"/></pattern>
</defs>"##;
