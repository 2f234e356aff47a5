import type { Reading } from './finding.ts';

/**
 * The reference of an image with further packages, in the form that the image store knows:
 * `bootstrap:SUITE[+PACKAGE,…][/PACKAGE,…]`.
 *
 * @param image what is written; undefined: nothing
 * @param packages checked names; undefined: the image as it is
 * @param path of the packages
 */
export function withPackages(
  image: string | undefined,
  packages: readonly string[] | undefined,
  path: readonly string[],
  { report }: Reading,
): string | undefined {
  if (packages === undefined) return image;
  if (image === undefined || !image.startsWith('bootstrap:')) {
    const what = image === undefined ? 'there is no image to add them to' : `'${image}' is none`;
    report({
      path,
      part: 'key',
      message: `packages are added to an image of Debian made here, and ${what}`,
      hint: 'set `image: bootstrap:bookworm`, or install them by commands',
    });
    return image;
  }
  return `${image}${image.includes('/') ? ',' : '/'}${packages.join(',')}`;
}
