/** The mark of Hearth on a 24 × 24 grid, as SVG paths; scripts/draw-icons.ts draws the icons from the same two. */
export const flameOutline =
  'M12.6 1.8c.6 3.6-1 5.3-2.8 7.2C7.9 11 6 13 6 16.2a6 6 0 0 0 12 0c0-2.6-1.1-4.5-2.3-6-.2 1.3-.8 2.2-1.7 2.8.5-4.1-.2-8.3-1.4-11.2z'
export const emberOutline = 'M12.1 13.2c-.3 1.7-2.5 2.6-2.5 4.8a2.5 2.5 0 0 0 5 0c0-2-1.5-2.9-2.5-4.8z'
