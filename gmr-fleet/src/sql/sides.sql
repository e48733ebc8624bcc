-- How many processes has each side of a comparison?
SELECT count(*) FILTER (WHERE NOT is_newer) AS older, count(*) FILTER (WHERE is_newer) AS newer FROM sides;
