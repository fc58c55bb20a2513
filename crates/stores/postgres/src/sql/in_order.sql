-- Input: nothing.
-- Output: until the transaction ends, statements are planned to read jobs in the order of their seqs.
-- Guarantee: however few jobs match, none is read beyond the seqs that bound a listing.
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
    set_config('enable_sort', 'off', true), set_config('jit', 'off', true)
