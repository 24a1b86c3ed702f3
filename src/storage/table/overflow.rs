//! Overflow pages: values too large for their row, as a chain of pages that belongs to one value.
//!
//! ```text
//! OFFSET  SIZE  FIELD
//! 0       48    the page's header (see `space`); its kind, at 16, is 3
//! 48      2     bytes of the value in this page
//! 50      2     zero
//! 52      4     next page; 0: the last one
//! 56            the bytes
//! ```

use crate::buffer::{PageRead, Pool, Use};
use crate::error::{Error, Result};
use crate::types::row::External;
use crate::types::{PAGE_SIZE, PageId};

const KIND: usize = 16;
const LENGTH: usize = 48;
const NEXT: usize = 52;
const DATA: usize = 56;
const OVERFLOW_PAGE: u8 = 3;
/// PostgreSQL's limit of a value, in bytes.
const VALUE_BYTES_MAX: usize = 1 << 30;

/// Writes a value; its last page first, so that every page names a page that exists. `made` gets the pages, also on an error.
pub(crate) fn store(pool: &Pool, bytes: &[u8], made: &mut Vec<PageId>) -> Result<External> {
    if bytes.len() > VALUE_BYTES_MAX {
        return Err(Error::TooLarge { bytes: bytes.len(), max_bytes: VALUE_BYTES_MAX });
    }
    let mut next = 0u32;
    for part in bytes.chunks(PAGE_SIZE - DATA).rev() {
        let mut page = pool.allocate()?;
        made.push(page.id());
        page[KIND] = OVERFLOW_PAGE;
        page[LENGTH..LENGTH + 2].copy_from_slice(&(part.len() as u16).to_le_bytes());
        page[NEXT..NEXT + 4].copy_from_slice(&next.to_le_bytes());
        page[DATA..DATA + part.len()].copy_from_slice(part);
        next = page.id().0;
    }
    Ok(External { page: next, len: bytes.len() as u32 })
}

/// Reads a value.
pub(crate) fn load(pool: &Pool, place: External) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(place.len as usize);
    let mut next = place.page;
    while next != 0 {
        let page = read(pool, PageId(next))?;
        let length = usize::from(u16::from_le_bytes([page[LENGTH], page[LENGTH + 1]]));
        if page[KIND] != OVERFLOW_PAGE || DATA + length > PAGE_SIZE || bytes.len() + length > place.len as usize {
            return Err(Error::CorruptPage { page: PageId(next), what: "not the overflow page that a row names" });
        }
        bytes.extend_from_slice(&page[DATA..DATA + length]);
        next = next_page(&page);
    }
    if bytes.len() != place.len as usize {
        return Err(Error::CorruptPage { page: PageId(place.page), what: "a value is shorter than its row says" });
    }
    Ok(bytes)
}

/// Frees values: all of them, or none on an error.
pub(crate) fn free(pool: &Pool, places: &[External]) -> Result<()> {
    let mut found = Vec::new();
    places.iter().try_for_each(|place| pages(pool, *place, &mut found))?;
    found.into_iter().for_each(|page| pool.free(page));
    Ok(())
}

/// The pages of a value.
pub(crate) fn pages(pool: &Pool, place: External, found: &mut Vec<PageId>) -> Result<()> {
    let mut next = place.page;
    while next != 0 {
        let id = PageId(next);
        let page = read(pool, id)?;
        if page[KIND] != OVERFLOW_PAGE {
            return Err(Error::CorruptPage { page: id, what: "not the overflow page that a row names" });
        }
        next = next_page(&page);
        found.push(id);
    }
    Ok(())
}

/// A page of a value; one that is waited for brings those after it along.
fn read(pool: &Pool, id: PageId) -> Result<PageRead<'_>> {
    loop {
        match pool.try_read(id) {
            Some(page) => return Ok(page),
            None => pool.load_for(id, Use::Chain(following))?,
        }
    }
}

fn following(page: &[u8; PAGE_SIZE]) -> PageId {
    PageId(if page[KIND] == OVERFLOW_PAGE { next_page(page) } else { 0 })
}

fn next_page(page: &[u8; PAGE_SIZE]) -> u32 {
    u32::from_le_bytes(page[NEXT..NEXT + 4].try_into().expect("four bytes"))
}
