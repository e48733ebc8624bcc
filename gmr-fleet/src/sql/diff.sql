-- What is new? The places with the share of processes of each side that are at them, the greatest
-- differences first. `views.sql` says what a side is. Two versions:
--   SET VARIABLE older_version = '1.1'; SET VARIABLE newer_version = '1.2';
WITH sizes AS (
    SELECT count(*) FILTER (WHERE NOT is_newer) AS of_older, count(*) FILTER (WHERE is_newer) AS of_newer
    FROM sides
), here AS (
    SELECT place_id, bool_and(idle) AS idle,
        count(*) FILTER (WHERE NOT is_newer) AS older, count(*) FILTER (WHERE is_newer) AS newer
    FROM at_places JOIN sides USING (report_id) GROUP BY place_id
)
SELECT kind, functions, lines, idle, older, of_older, newer, of_newer, place_id
FROM here JOIN places USING (place_id) CROSS JOIN sizes
WHERE older * of_newer <> newer * of_older
ORDER BY abs(CAST(newer AS DOUBLE) / of_newer - CAST(older AS DOUBLE) / of_older) DESC, place_id;
