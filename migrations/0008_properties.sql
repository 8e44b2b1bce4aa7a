-- What searches look at lies in the row, uncompressed: a filter reads the properties of each item that an index gives it,
-- several times over, and unpacking them took longer than all else. What only answers need goes out of line first.
--
-- Rows that are there stay as they are until they are written again.
alter table items alter column properties set storage main;
