# Sources of the room vault: stores, layout, points, upload, restore.
