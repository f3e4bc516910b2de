/** The bar: name, device chip, Share, light or dark; a menu on a phone. */
import { ActionIcon, Button, Menu, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { goTo, openDialog } from '../../stores/session.ts';
import { Logo } from '../components/Logo.tsx';
import { IconLink, IconMenu2, IconSun } from '../icons.ts';
import { DeviceChip } from './DeviceChip.tsx';
import classes from './TopBar.module.css';

function SchemeButton() {
  const scheme = useComputedColorScheme('light');
  const { setColorScheme } = useMantineColorScheme();
  const next = scheme === 'dark' ? 'light' : 'dark';
  return (
    <ActionIcon variant="subtle" className={classes.icon} aria-label={`Switch to ${next}`} title={`Switch to ${next}`} onClick={() => setColorScheme(next)}>
      <IconSun size={18} stroke={2} />
    </ActionIcon>
  );
}

function PhoneMenu() {
  return (
    <Menu position="bottom-end" width={200}>
      <Menu.Target>
        <ActionIcon variant="subtle" className={`${classes.icon} ${classes.phone}`} aria-label="Menu"><IconMenu2 size={18} stroke={1.75} /></ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => goTo('runs')}>Runs</Menu.Item>
        <Menu.Item onClick={() => openDialog('share')}>Share the recipe</Menu.Item>
        <Menu.Item onClick={() => openDialog('openShared')}>Open a shared recipe</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

export function TopBar() {
  return (
    <header className={classes.bar}>
      <a className={classes.brand} href="#/model" onClick={(e) => { e.preventDefault(); goTo('model'); }}>
        <Logo /><span>Etude</span>
      </a>
      <div className={classes.right}>
        <DeviceChip />
        <Button size="xs" className={classes.share} leftSection={<IconLink size={16} stroke={2} />} onClick={() => openDialog('share')}>Share</Button>
        <SchemeButton />
        <PhoneMenu />
      </div>
    </header>
  );
}
